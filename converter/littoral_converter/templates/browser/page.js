// Runs the graph model beside this page, on its examples first and then on people's pictures.

const TFJS = {
  beside: "tf.min.js",
  far: "https://cdn.jsdelivr.net/npm/@tensorflow/tfjs@4.22.0/dist/tf.min.js",
  integrity: "sha384-vE8hbVJ4lezako5rlvE7bY0BVzWlFhZncPlckrqNwcUQpVtgbENTgZ8TBbnPjZre",
};
const RUNS = 20;
const SHOWN = 5;
const part = (id) => document.getElementById(id);
const size = (shape) => shape.reduce((a, b) => a * b, 1);

function say(state, words) {
  document.body.dataset.state = state;
  part("state").textContent = words;
}

// Where this is not set, TensorFlow.js makes it by evaluating text, which this page allows nobody.
globalThis.regeneratorRuntime = null;

function load(address) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.integrity = TFJS.integrity;
    script.crossOrigin = "anonymous";
    script.onload = done;
    script.onerror = () => failed(new Error(`${address} is not there, or is another file`));
    document.head.append(script);
  });
}

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
}

async function run(model, about, values) {
  const input = tf.tensor(values, about.input.shape);
  const asked = { [about.input.name]: input };
  const output = about.loops ? await model.executeAsync(asked) : model.execute(asked);
  const found = Array.isArray(output) ? output[0] : output;
  const answer = Float32Array.from(await found.data());
  tf.dispose([input, output]);
  return answer;
}

const largest = (values) => values.indexOf(Math.max(...values));

async function check(model, about) {
  const each = size(about.input.shape), wide = size(about.output.shape);
  const numbers = new Float32Array(await (await fetched("examples.bin")).arrayBuffer());
  const answers = [];
  let apart = 0, same = 0;
  for (let k = 0; k < about.examples; k++) {
    const answer = await run(model, about, numbers.slice(k * each, (k + 1) * each));
    const from = about.examples * each + k * wide;
    const wanted = Array.from(numbers.slice(from, from + wide));
    answer.forEach((value, i) => { apart = Math.max(apart, Math.abs(value - wanted[i])); });
    same += largest(Array.from(answer)) === largest(wanted);
    answers.push(Array.from(answer));
  }
  const times = [];
  for (let k = 0; k < RUNS; k++) {
    const start = performance.now();
    await run(model, about, numbers.slice(0, each));
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { answers, apart, same, ms: times[RUNS / 2], backend: tf.getBackend() };
}

function show(found, about) {
  const good = about.tolerance === null || found.apart <= about.tolerance;
  part("check").hidden = false;
  part("verdict").className = good ? "good" : "bad";
  part("verdict").textContent = good
    ? `Yes: ${found.same} of ${about.examples} examples have the same largest answer.`
    : `No: answers lie up to ${found.apart.toPrecision(3)} off what the model answered when it was made.`;
  part("figures").textContent =
    `largest difference ${found.apart.toPrecision(2)} · ${found.ms.toFixed(1)} ms an inference by ${found.backend}`;
  return good;
}

// How a picture becomes numbers is the model's, as its recipe told it; the resizing is the browser's.
function numbers(picture, about) {
  const [, height, width, channels] = about.input.shape;
  const { resize, fill, channels: order, shorter } = about.preprocessing;
  const canvas = part("seen");
  canvas.width = width; canvas.height = height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = `rgb(${fill}, ${fill}, ${fill})`;
  pen.fillRect(0, 0, width, height);
  const ways = { crop: Math.max, pad: Math.min };
  let wide = width, high = height;
  if (resize in ways) {
    const scale = shorter
      ? shorter / Math.min(picture.width, picture.height)
      : ways[resize](width / picture.width, height / picture.height);
    wide = picture.width * scale; high = picture.height * scale;
  }
  pen.drawImage(picture, (width - wide) / 2, (height - high) / 2, wide, high);
  canvas.hidden = false;
  const pixels = pen.getImageData(0, 0, width, height).data;
  const [mean, std] = about.normalization;
  const values = new Float32Array(height * width * channels);
  for (let k = 0; k < height * width; k++) {
    const [r, g, b] = pixels.slice(4 * k, 4 * k + 3);
    const colours = channels === 1 ? [0.299 * r + 0.587 * g + 0.114 * b]
      : order === "bgr" ? [b, g, r] : [r, g, b];
    colours.forEach((value, c) => {
      values[k * channels + c] = (value - mean[c % mean.length]) / std[c % std.length];
    });
  }
  return values;
}

function list(answer, about) {
  const ranked = Array.from(answer, (value, k) => [value, about.labels?.[k] ?? String(k)]);
  ranked.sort((a, b) => b[0] - a[0]);
  part("answers").replaceChildren(...ranked.slice(0, SHOWN).map(([value, name]) => {
    const line = document.createElement("li");
    const [label, number] = [document.createElement("span"), document.createElement("span")];
    const bar = document.createElement("meter");
    label.textContent = name;
    number.textContent = value.toFixed(3);
    bar.value = value;
    line.append(label, bar, number);
    return line;
  }));
}

async function begin() {
  say("loading", "loading the model");
  const asked = new URLSearchParams(location.search).get("backend");
  if (asked) await tf.setBackend(asked);
  await tf.ready();
  const about = await (await fetched("about.json")).json();
  document.title = part("name").firstChild.textContent = about.model;
  part("label").textContent = about.label;
  const model = await tf.loadGraphModel("model.json");
  about.loops = Object.values(model.executor.graph.nodes).some((node) => node.category === "control");
  say("checking", "running its examples");
  const found = await check(model, about);
  globalThis.littoral = found;
  const good = show(found, about);
  if (about.preprocessing && about.input.shape.length === 4) {
    part("picture").hidden = false;
    part("file").onchange = async (event) => {
      const picture = await createImageBitmap(event.target.files[0]);
      list(await run(model, about, numbers(picture, about)), about);
      document.body.dataset.answered = "yes";
    };
  }
  say(good ? "ready" : "wrong", good ? "ready" : "it computes something else here");
}

async function start() {
  if (location.protocol === "file:") {
    throw new Error("browsers let no page read files beside it: run python3 -m http.server here, "
      + "and open http://127.0.0.1:8000");
  }
  try {
    await load(TFJS.beside);
  } catch (problem) {
    part("missing").hidden = false;
    say("missing", problem.message);
    await new Promise((asked) => { part("fetch").onclick = asked; });
    await load(TFJS.far);
    part("missing").hidden = true;
  }
  await begin();
}

start().catch((problem) => say("failed", problem.message));
