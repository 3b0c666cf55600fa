"use strict";
// The page of `resnext serve`: photos in; classes as bars, and where the network looks, out. It asks no other server.

const $ = (id) => document.getElementById(id);
const MOST = 100; // photos on the page
const LONGEST = 640; // pixels of a photo on the page
const TRIES = 20; // to send a photo to a server that has too much to do
const LARGEST = 16 * 2 ** 20; // bytes of a photo, as the server has it
// Matplotlib's inferno in sixteenths, as `resnext explain` colours its maps.
const INFERNO = ["000004", "0b0724", "210c4a", "3d0965", "57106e", "71196e", "8a226a", "a32c61", "bc3754", "d24644", "e45a31",
  "f1731d", "f98e09", "fcac11", "f9cb35", "f2ea69", "fcffa4"].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const SMALL_MAP = 256; // pixels of the longer side of a map before it is enlarged
const FEW = 7; // positions along a side, as at 224 pixels: a map of fewer says little of places
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const authorisation = token ? { Authorization: `Bearer ${token}` } : {};
const waiting = []; // results that have no answer yet
let newest; // the first of the results that were asked for last
let models = [];
let isBusy = false;
let isOpening = false; // the webcam, which the browser asks permission for
let shots = 0;

// Ask what the server has. Throws an Error that says why it can't be used.
async function connect() {
  const answer = await send("v1/models", { headers: authorisation });
  if (answer.status === 401) throw new Error(`${token ? "The token is not right" : "This server requires a token"}: open the address that it printed.`);
  if (!answer.ok) throw new Error(await reason(answer));
  models = (await answer.json()).models;
  $("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  $("model-label").hidden = models.length < 2;
  $("status").textContent = "";
  showModel();
}

async function send(path, request) {
  try {
    return await fetch(path, request);
  } catch {
    throw new Error("The server does not answer.");
  }
}

function showModel() {
  const model = models.find((each) => each.name === $("model").value);
  const classes = model.classes.toLocaleString("en");
  $("facts").textContent = `${model.name}: ${model.variant}, ${classes} classes, ${model.size} pixels, ${model.runtime}`;
  document.title = `${model.name} – resnext`;
  $("report").hidden = !model.report;
  $("report").href = `v1/models/${encodeURIComponent(model.name)}/report`;
}

async function reason(answer) {
  try {
    return (await answer.json()).error.replace(/^image: /, ""); // the name of the request's part
  } catch {
    return `status ${answer.status}`;
  }
}

function add(files) {
  const photos = [...files];
  const room = MOST - $("results").children.length;
  const taken = photos.slice(0, room);
  $("left").textContent = taken.length < photos.length ? `The page holds ${MOST} photos; ${photos.length - taken.length} were left out.` : "";
  const items = taken.map((file) => {
    const item = $("result").content.cloneNode(true).firstElementChild;
    item.file = file;
    item.name = file.name || "pasted image";
    item.querySelector("h2").textContent = item.name;
    item.querySelector(".bars").setAttribute("aria-label", `Classes of ${item.name}`);
    item.querySelector(".again").addEventListener("click", () => wait([item]));
    return item;
  });
  $("results").append(...items);
  $("tools").hidden = $("results").children.length === 0;
  $("results").classList.toggle("one", $("results").children.length === 1);
  wait(items);
}

// Empty some results, and let them wait for their answers.
function wait(items) {
  newest = items[0];
  for (const item of items) {
    item.querySelector(".bars").replaceChildren();
    item.querySelector(".unsure").hidden = true;
    item.querySelector("figcaption .hint").textContent = "";
    item.querySelector(".error").hidden = item.querySelector(".again").hidden = true;
    item.querySelector(".time").textContent = "Waiting …";
    item.querySelector("canvas").setAttribute("aria-label", item.name);
    item.redraw = undefined;
    if (item.photo) draw(item, item.photo);
    if (!waiting.includes(item)) waiting.push(item);
  }
  work();
}

async function work() {
  if (isBusy) return;
  isBusy = true;
  let [done, failed] = [0, 0];
  while (waiting.length) {
    const item = waiting.shift();
    if (!item.isConnected) continue;
    $("count").textContent = waiting.length ? `${waiting.length + 1} photos are waiting.` : "";
    item.setAttribute("aria-busy", "true");
    item.querySelector(".time").textContent = "Classifying …";
    try {
      await classify(item);
    } catch (error) {
      fail(item, error.message, true);
    }
    item.removeAttribute("aria-busy");
    if (!waiting.includes(item)) {
      done += 1;
      failed += Number(!item.querySelector(".error").hidden);
    }
    $("map-tools").hidden = $("hint").hidden = !document.querySelector(".bars button");
    if (waiting.length) continue;
    if (matchMedia("(max-width: 40rem)").matches) newest?.scrollIntoView(); // photo and answer together on a phone
    $("status").textContent = done === 1 ? item.summary : `${failed ? `${done - failed} of ` : ""}${done} photos classified.`;
  }
  $("count").textContent = "";
  isBusy = false;
}

async function classify(item) {
  const file = item.file;
  if (file.size === 0) return fail(item, "This file is empty.");
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    return fail(item, "This file can't be read.");
  }
  const photo = (item.photo ??= await readPhoto(file));
  draw(item, photo);
  if (!models.length) await connect();
  if (file.size > LARGEST) return fail(item, `This file has more than ${LARGEST / 2 ** 20} MiB.`);
  const name = $("model").value;
  const path = `v1/models/${encodeURIComponent(name)}/classify?top=5&maps=1`;
  for (let tries = 1; item.isConnected; tries++) {
    const answer = await send(path, { method: "POST", body: file, headers: { ...authorisation, "Content-Type": "application/octet-stream" } });
    if ((answer.status === 429 || answer.status === 503) && tries < TRIES) {
      const seconds = Number.parseInt(answer.headers.get("Retry-After"), 10) || 1;
      await new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 30)));
      continue;
    }
    if (name !== $("model").value) return; // the photo waits for another model
    if (!answer.ok) return fail(item, await reason(answer), answer.status >= 429);
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

function fail(item, message, canTry = false) {
  const error = item.querySelector(".error");
  error.hidden = false;
  error.textContent = message;
  item.querySelector(".again").hidden = !canTry;
  item.querySelector(".time").textContent = "";
  item.summary = `${item.name}: ${message}`;
}

function show(item, photo, answer) {
  const bars = item.querySelector(".bars");
  const best = answer.classes[0];
  bars.replaceChildren();
  const labels = answer.labels && (answer.labels.join("; ") || "none of the classes");
  const line = item.querySelector(".labels");
  line.hidden = labels === undefined;
  line.textContent = labels ?? "";
  const hasMaps = photo !== null && best.map !== undefined;
  for (const each of answer.classes) {
    const row = document.createElement(hasMaps ? "button" : "div");
    row.className = answer.labels?.includes(each.class) ? "bar has" : "bar";
    const percent = `${(100 * each.probability).toFixed(1)} %`;
    row.append(bar(each.probability), text(each.class), text(percent, "percent"));
    if (hasMaps) {
      row.type = "button";
      row.addEventListener("click", () => choose(item, photo, answer, each, row));
    }
    const entry = document.createElement("li");
    entry.append(row);
    bars.append(entry);
  }
  item.querySelector(".time").textContent = `${models.length > 1 ? `${answer.model}, ` : ""}${answer.milliseconds} ms`;
  const unsure = item.querySelector(".unsure");
  unsure.hidden = answer.sure !== false;
  unsure.textContent = unsure.hidden ? "" : `Not sure: ${best.class} has ${(100 * answer.calibrated).toFixed(0)} % after calibration.`;
  const hint = item.querySelector("figcaption .hint");
  if (photo === null) hint.textContent = "This browser can't show the picture.";
  else if (hasMaps && best.map.length < FEW) hint.textContent = `The map has ${best.map.length} x ${best.map[0].length} positions.`;
  item.summary = `${item.name}: ${unsure.hidden ? "" : "not sure, "}${labels ?? `${best.class}, ${(100 * best.probability).toFixed(1)} %`}`;
  item.querySelector("canvas").setAttribute("aria-label", item.summary);
  if (hasMaps) choose(item, photo, answer, best, bars.querySelector("button"));
}

function text(words, kind = "") {
  const span = document.createElement("span");
  span.className = kind;
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

async function openWebcam() {
  $("left").textContent = "";
  if (isOpening) return;
  isOpening = true;
  try {
    $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    $("left").textContent = `The camera can't be used: ${error.message}`;
    return;
  } finally {
    isOpening = false;
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
  const [height, width] = [rows.length, rows[0].length];
  const highest = Math.max(1e-9, ...rows.flat());
  const large = new OffscreenCanvas(SMALL_MAP, Math.round((SMALL_MAP * height) / width));
  const context = large.getContext("2d");
  const pixels = context.createImageData(large.width, large.height);
  for (let y = 0; y < large.height; y++) {
    const [upper, lower, down] = between(y, large.height, height);
    for (let x = 0; x < large.width; x++) {
      const [left, right, across] = between(x, large.width, width);
      const [above, below] = [rows[upper], rows[lower]].map((row) => mixed(Math.max(0, row[left]), Math.max(0, row[right]), across));
      const share = mixed(above, below, down) / highest;
      pixels.data.set([...inferno(share), Math.round(255 * share)], 4 * (y * large.width + x));
    }
  }
  context.putImageData(pixels, 0, 0);
  return large;
}

// The two positions of a map around a pixel, and the share of the second.
function between(pixel, pixels, positions) {
  const place = Math.min(Math.max(((pixel + 0.5) * positions) / pixels - 0.5, 0), positions - 1);
  return [Math.floor(place), Math.ceil(place), place % 1];
}

function mixed(first, second, share) {
  return first + (second - first) * share;
}

function inferno(share) {
  const place = share * (INFERNO.length - 1);
  const [below, above] = [INFERNO[Math.floor(place)], INFERNO[Math.ceil(place)]];
  return below.map((value, channel) => Math.round(mixed(value, above[channel], place % 1)));
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
  $("strength").setAttribute("aria-valuetext", `${$("strength").value} %`);
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
$("model").addEventListener("change", () => {
  showModel();
  wait([...$("results").children]);
});
connect().catch((error) => ($("status").textContent = error.message));
