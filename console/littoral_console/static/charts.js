/* Draws what /telemetry/data.json and spread.json say, and asks again every two seconds. */
"use strict";

(() => {
  const EVERY_MS = 2000;
  const HEIGHT = 290;
  const NAMES = ["p50", "p95", "p99"];
  const DASHES = { p50: [2, 4], p95: [], p99: [7, 4] };

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const micros = (us) => {
    if (us === null) return "–";
    if (us === 0) return "0";
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

  const colour = (i) => css(`--line-${(i % 3) + 1}`);

  // 1, 2, 5, 10, 20 … between two latencies: what a person expects beside an axis.
  const round = (least, most) => {
    const found = [];
    for (let unit = 10 ** Math.floor(Math.log10(least)); unit <= most; unit *= 10) {
      for (const n of [1, 2, 5]) if (n * unit >= least && n * unit <= most) found.push(n * unit);
    }
    return found;
  };

  const DAY = "\n{MMM} {D}";
  const TIMES = [
    [86400, "{MMM} {D}", null, null, null, null, null, null, 1],
    [3600, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
    [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
  ];

  // Time: a line for each percentile of each release; a colour is a release.
  const overTime = {
    data: (found) => uPlot.join(found.releases.map((r) => [r.t, r.p50, r.p95, r.p99])),
    lines: (found) => found.releases.flatMap((r, i) => NAMES.map((name) => ({
      group: `r${r.release}`,
      name,
      colour: i,
      text: micros,
      look: { width: name === "p95" ? 2.25 : 1.25, dash: DASHES[name], points: { show: r.t.length < 3, size: 5 } },
    }))),
    options: (found) => ({
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      scales: {
        x: { range: () => [found().since_s, found().now_s] },
        y: { range: (_, __, max) => [0, max * 1.12 || 1] },
      },
      axes: [axis({ values: TIMES, space: 80 }), axis({ values: (_, ticks) => ticks.map(micros), size: 72 })],
    }),
    place: (ts) => `${new Date(ts * 1e3).toISOString().slice(0, 19).replace("T", " ")} UTC`,
    resting: "latest",
    empty: (found) => found.releases.every((r) => r.t.length === 0),
  };

  // Spread: a histogram for the newest release and one for that before it.
  const spread = {
    data: (found) => [found.edges_us, ...found.releases.map((r) => r.share)],
    lines: (found) => found.releases.map((r, i) => ({
      group: `r${r.release}`,
      name: "",
      colour: i,
      text: (v) => (v === null ? "–" : `${(100 * v).toFixed(1)} %`),
      look: {
        fill: `${colour(i)}${i ? "22" : "44"}`,
        width: 1.5,
        paths: uPlot.paths.stepped({ align: 1 }),
        points: { show: false },
      },
    })),
    options: (found) => ({
      scales: {
        x: { time: false, distr: 3, log: 2, range: () => [found().edges_us[0], found().edges_us.at(-1)] },
        y: { range: (_, __, max) => [0, max * 1.12 || 1] },
      },
      axes: [
        axis({ splits: (_, __, least, most) => round(least, most), filter: (_, ticks) => ticks, values: (_, ticks) => ticks.map(micros), size: 36 }),
        axis({ incrs: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5], values: (_, ticks) => ticks.map((v) => `${Math.round(100 * v)} %`), size: 72 }),
      ],
    }),
    place: (us) => `from ${micros(us)}`,
    resting: "",
    empty: (found) => found.releases.length === 0,
  };

  const MB_PER_MIB = 1.048576;
  const room = (mb) => (mb < 1e3 ? `${Math.round(mb)} MB` : `${Number((mb / 1e3).toPrecision(3))} GB`);

  const FIGURES = {
    temperature_c: (v) => `${Number(v.toFixed(1))} °C`,
    load: (v) => `${Number(v.toFixed(2))}`,
    memory_free_mib: room,
    disk_free_mib: room,
  };

  // Windows in which the board ran slower than it could, or had too little power: a stripe each.
  const marks = (found) => (plot) => {
    const { t, throttled, under_voltage: weak } = found();
    const { left, top, width, height } = plot.bbox;
    t.forEach((at, i) => {
      if (!throttled[i] && !weak[i]) return;
      const from = Math.max(left, plot.valToPos(Math.max(t[i - 1] ?? 0, at - 1800), "x", true));
      const to = Math.min(left + width, plot.valToPos(at, "x", true));
      plot.ctx.fillStyle = css(weak[i] ? "--bad-wash" : "--busy-wash");
      plot.ctx.fillRect(from, top, Math.max(to - from, 2), height);
    });
  };

  // The board: the mean as a line, in a band from the least to the most.
  const board = (name) => {
    const spread = name !== "disk_free_mib";
    const scale = (values) => (name.endsWith("_mib") ? values.map((v) => (v === null ? v : v * MB_PER_MIB)) : values);
    const parts = spread ? [["mean", "mean"], ["low", "least"], ["high", "most"]] : [[null, "free"]];
    return {
      data: (found) => [found.t, ...parts.map(([part]) => scale(part ? found[name][part] : found[name]))],
      lines: () => parts.map(([, text], i) => ({
        group: text,
        name: "",
        plain: true,
        colour: 0,
        text: (v) => (v === null ? "–" : FIGURES[name](v)),
        look: { width: i ? 0 : 2, points: { show: false } },
      })),
      options: (found) => ({
        bands: spread ? [{ series: [3, 2], fill: `${colour(0)}2e` }] : [],
        scales: {
          x: { range: () => [found().since_s, found().now_s] },
          y: { range: (_, min, max) => (name === "temperature_c" ? [Math.min(20, min), Math.max(90, max)] : [0, max * 1.12 || 1]) },
        },
        axes: [axis({ values: TIMES, space: 70 }), axis({ values: (_, ticks) => ticks.map(FIGURES[name]), size: 66, space: 26 })],
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
        hooks: { drawClear: [marks(found)] },
        height: 165,
      }),
      place: overTime.place,
      resting: "latest",
      empty: (found) => found.t.length === 0 || !found[name],
      shape: (found) => [found.span],
    };
  };

  const KINDS = { latency: () => overTime, spread: () => spread, board };

  class Chart {
    constructor(place) {
      this.place = place;
      this.kind = KINDS[place.dataset.kind ?? place.id](place.dataset.figure);
      this.plot = null;
      this.shape = null;
      this.latest = null;
      this.keys = document.createElement("div");
      this.keys.className = "keys";
    }

    async refresh(asked) {
      const url = `${this.place.dataset.chart}?${query()}`;
      if (!asked.has(url)) asked.set(url, ask(url));
      this.latest = await asked.get(url);
      this.draw();
    }

    draw() {
      const found = this.latest;
      if (!found) return;
      const empty = this.kind.empty(found);
      this.place.querySelector(".empty").hidden = !empty;
      this.place.querySelector(".empty").textContent = "No windows in this range";
      const shape = empty ? "" : JSON.stringify(this.kind.shape?.(found) ?? [found.model, found.stage, found.span, found.releases.map((r) => r.release)]);
      if (shape !== this.shape) this.make(found, shape);
      else if (this.plot) this.plot.setData(this.kind.data(found));
      this.read();
      this.place.dataset.drawn = String(Number(this.place.dataset.drawn || 0) + 1);
    }

    make(found, shape) {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.shape = shape;
      this.keys.replaceChildren();
      if (!shape) return;
      const lines = this.kind.lines(found);
      const options = this.kind.options(() => this.latest);
      this.height = options.height ?? HEIGHT;
      this.plot = new uPlot({
        width: this.place.clientWidth,
        ...options,
        height: this.height,
        cursor: { drag: { x: false, y: false } },
        legend: { show: false },
        hooks: { ...options.hooks, setCursor: [() => this.read()] },
        series: [{}, ...lines.map((line) => ({ stroke: colour(line.colour), ...line.look }))],
      }, this.kind.data(found), this.place);
      this.place.append(this.keys);
      this.list(lines);
    }

    // The legend: what each line is, and its value at the cursor, or the last one.
    list(lines) {
      this.where = document.createElement("span");
      this.where.className = "where";
      this.values = [];
      const groups = new Map();
      for (const line of lines) {
        if (!groups.has(line.group)) {
          const group = document.createElement("span");
          group.className = `line-key line-${(line.colour % 3) + 1}`;
          group.append(Object.assign(document.createElement("b"), { textContent: line.group }));
          groups.set(line.group, group);
        }
        const item = document.createElement("span");
        item.className = line.plain ? "plain" : line.name || "share";
        const value = document.createElement("i");
        item.append(line.name ? `${line.name} ` : "", value);
        groups.get(line.group).append(item);
        this.values.push([value, line.text]);
      }
      this.keys.replaceChildren(...groups.values(), this.where);
    }

    read() {
      if (!this.plot) return;
      const [places, ...columns] = this.plot.data;
      const at = this.plot.cursor.idx;
      const over = at !== null && at !== undefined && this.plot.cursor.left >= 0;
      this.where.textContent = over ? this.kind.place(places[at]) : this.kind.resting;
      this.values.forEach(([value, text], i) => {
        const found = over ? columns[i][at] : columns[i].findLast((v) => v !== null && v !== undefined);
        value.textContent = !over && !this.kind.resting ? "" : text(found ?? null);
      });
    }

    resize() {
      if (this.plot) this.plot.setSize({ width: this.place.clientWidth, height: this.height });
    }

    recolour() {
      this.shape = null;
      this.draw();
    }
  }

  const ask = async (url) => {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (response.status === 401) window.location.reload();
    if (!response.ok) throw new Error(`the console answers ${response.status}`);
    return response.json();
  };

  const query = () => {
    const form = document.querySelector("form[data-charts]");
    return new URLSearchParams(new FormData(form)).toString();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const charts = [...document.querySelectorAll("[data-chart]")].map((place) => new Chart(place));
    if (!charts.length) return; // nothing was told yet, and there is nothing to choose
    const refresh = () => {
      const asked = new Map(); // charts that show the same data ask once
      return Promise.allSettled(charts.map((chart) => chart.refresh(asked)));
    };
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
