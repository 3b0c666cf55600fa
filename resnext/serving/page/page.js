"use strict";
// The page of `resnext serve`: photos in; classes as bars, and where the network looks, out. It asks no other server.

const $ = (id) => document.getElementById(id);
const MOST = 100; // photos on the page
const LONGEST = 640; // pixels of a photo on the page
const TRIES = 20; // to send a photo to a server that has too much to do
const LARGEST = 16 * 2 ** 20; // bytes of a photo, as the server has it
const SMALL_MAP = 256; // pixels of the longer side of a map before it is enlarged
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const authorisation = token ? { Authorization: `Bearer ${token}` } : {};
const waiting = []; // results that have no answer yet
let models = [];
let problem = ""; // that no photo can be sent with
let isBusy = false;
let shots = 0;

const started = start().catch((error) => (problem = `The server does not answer: ${error.message}`)).then(() => ($("status").textContent = problem));

async function start() {
  const answer = await fetch("/v1/models", { headers: authorisation });
  if (!answer.ok) {
    problem = answer.status === 401 ? "This server requires a token: open the address that it printed." : await reason(answer);
    return;
  }
  models = (await answer.json()).models;
  for (const model of models) $("model").add(new Option(model.name, model.name));
  $("model-label").hidden = models.length < 2;
  showModel();
}

function showModel() {
  const model = models.find((each) => each.name === $("model").value);
  const classes = model.classes.toLocaleString("en");
  $("facts").textContent = `${model.name}: ${model.variant}, ${classes} classes, ${model.size} pixels, ${model.engine}`;
  $("report").hidden = !model.report;
  $("report").href = `/v1/models/${encodeURIComponent(model.name)}/report`;
  $("map-tools").hidden = $("hint").hidden = !model.maps;
}

async function reason(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `status ${answer.status}`;
  }
}

function add(files) {
  const photos = [...files];
  const room = MOST - $("results").children.length;
  const taken = photos.slice(0, room);
  $("left").textContent = taken.length < photos.length ? `The page holds ${MOST} photos; ${photos.length - taken.length} were left out.` : "";
  for (const file of taken) {
    const item = $("result").content.cloneNode(true).firstElementChild;
    item.querySelector("figcaption").textContent = file.name || "pasted image";
    item.querySelector("canvas").setAttribute("aria-label", file.name || "pasted image");
    item.file = file;
    $("results").append(item);
    waiting.push(item);
  }
  $("tools").hidden = $("results").children.length === 0;
  $("results").classList.toggle("one", $("results").children.length === 1);
  work();
}

async function work() {
  if (isBusy) return;
  isBusy = true;
  await started;
  while (waiting.length) {
    const item = waiting.shift();
    if (!item.isConnected) continue;
    item.setAttribute("aria-busy", "true");
    try {
      await classify(item);
    } catch (error) {
      fail(item, error.message);
    }
    item.removeAttribute("aria-busy");
  }
  isBusy = false;
}

async function classify(item) {
  const file = item.file;
  const photo = (item.photo ??= await readPhoto(file));
  draw(item, photo);
  if (problem) return fail(item, problem);
  if (file.size > LARGEST) return fail(item, `more than ${LARGEST / 2 ** 20} MiB`);
  const name = $("model").value;
  const path = `/v1/models/${encodeURIComponent(name)}/classify?top=5&maps=1`;
  for (let tries = 1; item.isConnected; tries++) {
    const answer = await fetch(path, { method: "POST", body: file, headers: { ...authorisation, "Content-Type": "application/octet-stream" } });
    if ((answer.status === 429 || answer.status === 503) && tries < TRIES) {
      const seconds = Number.parseInt(answer.headers.get("Retry-After"), 10) || 1;
      await new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 30)));
      continue;
    }
    if (name !== $("model").value) return; // the photo waits for another model
    if (!answer.ok) return fail(item, await reason(answer));
    return show(item, photo, await answer.json());
  }
}

// A browser can't show every format that the network reads; such a photo has an answer without a picture.
async function readPhoto(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

function fail(item, message) {
  const error = item.querySelector(".error");
  error.hidden = false;
  error.textContent = message;
  $("status").textContent = `${item.querySelector("figcaption").textContent}: ${message}`;
}

function show(item, photo, answer) {
  const bars = item.querySelector(".bars");
  const best = answer.classes[0];
  item.querySelector(".error").hidden = true;
  const hasMaps = photo !== null && best.map !== undefined;
  for (const each of answer.classes) {
    const row = document.createElement(hasMaps ? "button" : "div");
    row.className = "bar";
    const percent = `${(100 * each.probability).toFixed(1)} %`;
    row.append(bar(each.probability), text(each.class), text(percent));
    if (hasMaps) {
      row.type = "button";
      row.addEventListener("click", () => choose(item, photo, answer, each, row));
    }
    const entry = document.createElement("li");
    entry.append(row);
    bars.append(entry);
  }
  item.querySelector(".time").textContent = `${models.length > 1 ? `${answer.model}, ` : ""}${answer.milliseconds} ms`;
  const label = `${item.querySelector("figcaption").textContent}: ${best.class}, ${(100 * best.probability).toFixed(1)} %`;
  item.querySelector("canvas").setAttribute("aria-label", label);
  $("status").textContent = label;
  if (hasMaps) choose(item, photo, answer, best, bars.querySelector("button"));
}

function text(words) {
  const span = document.createElement("span");
  span.textContent = words;
  return span;
}

function bar(share) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const rectangle = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rectangle.setAttribute("width", `${100 * share}%`);
  rectangle.setAttribute("height", "100%");
  svg.setAttribute("aria-hidden", "true");
  svg.append(rectangle);
  return svg;
}

function choose(item, photo, answer, chosen, button) {
  for (const each of item.querySelectorAll(".bars button")) each.setAttribute("aria-pressed", String(each === button));
  const map = heat(chosen.map);
  item.redraw = () => draw(item, photo, map, answer.seen);
  item.redraw();
}

// Ask another model for all photos again.
function ask() {
  showModel();
  for (const item of $("results").children) {
    item.querySelector(".bars").replaceChildren();
    item.querySelector(".time").textContent = "";
    item.querySelector(".error").hidden = true;
    item.redraw = undefined;
    if (!waiting.includes(item)) waiting.push(item);
  }
  work();
}

async function openWebcam() {
  $("left").textContent = "";
  try {
    $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    $("left").textContent = `The camera can't be used: ${error.message}`;
    return;
  }
  $("viewfinder").showModal();
}

async function takePhoto() {
  const video = $("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  $("viewfinder").close();
  add([new File([await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 })], `photo ${++shots}`)]);
}

function drop(transfer) {
  const folders = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  const names = new Set(folders.map((folder) => folder.name));
  add([...transfer.files].filter((file) => !names.has(file.name)));
  if (names.size) $("left").textContent = `A folder was left out: drop the photos that are in it. (${[...names].join(", ")})`;
  else if (!transfer.files.length) $("left").textContent = "What was dropped is not a file: save the photo, then drop its file.";
}

// The map in colours, opaque where it is high; what speaks against the class is not drawn.
function heat(rows) {
  const highest = Math.max(1e-9, ...rows.flat());
  const small = new OffscreenCanvas(rows[0].length, rows.length);
  const pixels = small.getContext("2d").createImageData(small.width, small.height);
  rows.flat().forEach((value, place) => {
    const share = Math.max(0, value) / highest;
    pixels.data.set([255, Math.round(210 * (1 - share)), 0, Math.round(255 * share)], 4 * place);
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  const large = new OffscreenCanvas(SMALL_MAP, Math.round((SMALL_MAP * small.height) / small.width));
  const context = large.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, large.width, large.height);
  return large;
}

function draw(item, photo, map, seen) {
  const canvas = item.querySelector("canvas");
  if (photo === null) {
    canvas.hidden = true;
    return;
  }
  canvas.width = photo.width;
  canvas.height = photo.height;
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0);
  if (!map) return;
  const [left, upper, right, lower] = seen.map((share, place) => share * (place % 2 ? canvas.height : canvas.width));
  context.globalAlpha = $("strength").value / 100;
  context.drawImage(map, left, upper, right - left, lower - upper);
  context.globalAlpha = 0.55;
  context.fillStyle = "black"; // what the network did not see
  context.beginPath();
  context.rect(0, 0, canvas.width, canvas.height);
  context.rect(left, upper, right - left, lower - upper);
  context.fill("evenodd");
  context.globalAlpha = 1;
}

for (const id of ["files", "camera"]) {
  $(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop(event.dataTransfer);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
});
const isTouched = matchMedia("(pointer: coarse)").matches;
$("phone").hidden = !isTouched;
$("webcam").hidden = isTouched || !navigator.mediaDevices; // which only localhost and TLS have
$("webcam").addEventListener("click", openWebcam);
$("take").addEventListener("click", takePhoto);
$("cancel").addEventListener("click", () => $("viewfinder").close());
$("viewfinder").addEventListener("close", () => {
  for (const track of $("video").srcObject.getTracks()) track.stop();
});
let frame = 0;
$("strength").addEventListener("input", () => {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    for (const item of $("results").children) item.redraw?.();
  });
});
addEventListener("hashchange", () => location.reload()); // an address with another token
$("clear").addEventListener("click", () => {
  $("results").replaceChildren();
  $("tools").hidden = true;
  $("status").textContent = $("left").textContent = "";
  $("files").focus();
});
$("model").addEventListener("change", ask);
