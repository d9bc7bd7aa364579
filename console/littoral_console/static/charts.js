/* Draws what /telemetry/data.json and spread.json say, and asks again every two seconds. */
"use strict";

(() => {
  const EVERY_MS = 2000;
  const HEIGHT = 290;
  const NAMES = ["p50", "p95", "p99"];
  const DASHES = { p50: [2, 4], p95: [], p99: [7, 4] };

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const micros = (us) => {
    if (us === null || us === undefined) return "–";
    if (us < 1e3) return `${us < 10 ? us.toFixed(1) : us.toFixed(0)} µs`;
    return us < 1e6 ? `${Number((us / 1e3).toPrecision(3))} ms` : `${Number((us / 1e6).toPrecision(3))} s`;
  };

  const axis = (more) => ({
    stroke: css("--faint"),
    grid: { stroke: css("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${css("--text")}`,
    ...more,
  });

  // Time: a line for each percentile of each release; a colour is a release.
  const overTime = {
    data: (found) => found.releases.length
      ? uPlot.join(found.releases.map((r) => [r.t, r.p50, r.p95, r.p99]))
      : [[]],
    series: (found) => found.releases.flatMap((r, i) => NAMES.map((name) => ({
      label: `r${r.release} ${name}`,
      stroke: css(`--line-${(i % 3) + 1}`),
      width: name === "p95" ? 2.25 : 1.25,
      dash: DASHES[name],
      points: { show: r.t.length < 3, size: 5 },
      value: (_, v) => micros(v),
    }))),
    options: (found) => ({
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      scales: { x: { range: () => [found.since_s, found.now_s] }, y: { range: (_, __, max) => [0, max * 1.12 || 1] } },
      axes: [
        axis({ values: [[86400, "{MMM} {D}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{MMM} {D}", null, "\n{MMM} {D}", null, null, null, 1], [60, "{HH}:{mm}", "\n{MMM} {D}", null, "\n{MMM} {D}", null, null, null, 1], [1, "{HH}:{mm}:{ss}", "\n{MMM} {D}", null, "\n{MMM} {D}", null, null, null, 1]], space: 80 }),
        axis({ values: (_, ticks) => ticks.map(micros), size: 72 }),
      ],
      legendTime: (ts) => ts === null || ts === undefined ? "–" : `${new Date(ts * 1e3).toISOString().slice(0, 19).replace("T", " ")} UTC`,
    }),
    empty: (found) => found.releases.every((r) => r.t.length === 0),
  };

  // Spread: a histogram for the newest release and one for that before it.
  const spread = {
    data: (found) => [found.edges_us, ...found.releases.map((r) => r.share)],
    series: (found) => found.releases.map((r, i) => ({
      label: `r${r.release}`,
      stroke: css(`--line-${(i % 3) + 1}`),
      fill: `${css(`--line-${(i % 3) + 1}`)}${i ? "22" : "44"}`,
      width: 1.5,
      paths: uPlot.paths.stepped({ align: 1 }),
      points: { show: false },
      value: (_, v) => (v === null || v === undefined ? "–" : `${(100 * v).toFixed(1)} %`),
    })),
    options: (found) => ({
      scales: {
        x: { time: false, distr: 3, log: 2, range: () => [found.edges_us[0], found.edges_us.at(-1)] },
        y: { range: (_, __, max) => [0, max * 1.12 || 1] },
      },
      axes: [
        axis({ values: (_, ticks) => ticks.map((v) => (v === null ? "" : micros(v))), space: 60 }),
        axis({ values: (_, ticks) => ticks.map((v) => `${Math.round(100 * v)} %`), size: 60 }),
      ],
      legendTime: (v) => (v === null || v === undefined ? "–" : `from ${micros(v)}`),
    }),
    empty: (found) => found.releases.length === 0,
  };

  const KINDS = { latency: overTime, spread };

  class Chart {
    constructor(place) {
      this.place = place;
      this.kind = KINDS[place.id];
      this.plot = null;
      this.shape = "";
      this.latest = null;
    }

    async refresh() {
      const response = await fetch(`${this.place.dataset.chart}?${query()}`, { headers: { Accept: "application/json" } });
      if (response.status === 401) window.location.reload();
      if (!response.ok) throw new Error(`the console answers ${response.status}`);
      this.latest = await response.json();
      this.draw();
    }

    draw() {
      const found = this.latest;
      if (!found) return;
      const empty = this.kind.empty(found);
      this.place.querySelector(".empty").hidden = !empty;
      this.place.querySelector(".empty").textContent = empty ? "No windows in this range" : "";
      const shape = empty ? "" : JSON.stringify([found.model, found.stage, found.span, found.releases.map((r) => r.release)]);
      if (shape !== this.shape || !this.plot) this.make(found, shape, empty);
      else this.plot.setData(this.kind.data(found));
      this.place.dataset.drawn = String(Number(this.place.dataset.drawn || 0) + 1);
    }

    make(found, shape, empty) {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.shape = shape;
      if (empty) return;
      // Ranges read what is newest, so that the time axis moves on without being made anew.
      const live = new Proxy({}, { get: (_, name) => this.latest[name] });
      const { legendTime, ...options } = this.kind.options(live);
      this.plot = new uPlot({
        width: this.place.clientWidth,
        height: HEIGHT,
        ...options,
        cursor: { drag: { x: false, y: false } },
        legend: { live: true },
        series: [{ label: this.place.id === "latency" ? "Time" : "Latency", value: (_, v) => legendTime(v) }, ...this.kind.series(found)],
      }, this.kind.data(found), this.place);
    }

    resize() {
      if (this.plot) this.plot.setSize({ width: this.place.clientWidth, height: HEIGHT });
    }

    recolour() {
      this.shape = "";
      this.draw();
    }
  }

  const query = () => {
    const form = document.querySelector("form[data-charts]");
    return new URLSearchParams(new FormData(form)).toString();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const charts = [...document.querySelectorAll("[data-chart]")].map((place) => new Chart(place));
    const refresh = () => Promise.allSettled(charts.map((chart) => chart.refresh()));
    const loop = async () => {
      if (!document.hidden) await refresh();
      setTimeout(loop, EVERY_MS);
    };
    loop();
    document.querySelector("form[data-charts]").addEventListener("change", refresh);
    new ResizeObserver(() => charts.forEach((chart) => chart.resize())).observe(document.getElementById("main"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.recolour()));
  });
})();
