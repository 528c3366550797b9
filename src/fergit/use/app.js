// What the page does: sends a picture, or frame after frame of the camera, to the app; shows the faces that come back.
"use strict";

const $ = (id) => document.getElementById(id);
const SHORTER = 480; // pixels of a frame's shorter side: in which the detector finds faces of a twentieth and larger
const LARGEST = 64; // MiB of a picture: app.py refuses more
const PAUSE = 100; // milliseconds from one frame to the next, at least
const REFUSALS = {
  NotAllowedError: "The browser does not allow the camera.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera cannot be read; another program may have it.",
};

let turn = 0; // grows with each thing the user starts: what is not the newest any more is dropped
let stream = null;
const means = { picture: { count: 0, all: 0, app: 0 }, frame: { count: 0, all: 0, app: 0 } };

const percent = (share) => `${Math.round(100 * share)}\u202f%`;

function say(text, error = false) {
  if ($("status").textContent !== text) $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

async function ask(kind, body, name) {
  let answer;
  try {
    answer = await fetch(`${kind}?name=${encodeURIComponent(name)}`, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/octet-stream" },
    });
  } catch {
    throw new Error("The app does not answer. Does it still run in its terminal?");
  }
  const said = await answer.json().catch(() => ({ error: `The app answers ${answer.status}.` }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}

// The picture or the video, or nothing: the empty stage.
function stage(element, ratio) {
  if ($("picture").src) URL.revokeObjectURL($("picture").src);
  $("picture").removeAttribute("src");
  $("hint").hidden = Boolean(element);
  $("frame").hidden = !element;
  for (const one of [$("picture"), $("video")]) one.hidden = one !== element;
  if (ratio) $("frame").style.setProperty("--ratio", ratio);
  $("boxes").replaceChildren();
  $("faces").replaceChildren();
}

function box(face, number, width, height) {
  const [x, y, wide, high] = face.box;
  const left = Math.max(0, x), top = Math.max(0, y); // a face may be cut off by the picture's border
  const right = Math.min(width, x + wide), bottom = Math.min(height, y + high);
  const element = document.createElement("div"), text = document.createElement("span");
  const label = document.createElement("b");
  element.className = "box";
  element.classList.toggle("right", left + right > 1.3 * width);
  element.classList.toggle("top", top < 0.08 * height);
  element.style.left = `${(100 * left) / width}%`;
  element.style.top = `${(100 * top) / height}%`;
  element.style.width = `${(100 * (right - left)) / width}%`;
  element.style.height = `${(100 * (bottom - top)) / height}%`;
  label.textContent = ` ${face.label} ${percent(face.probabilities[face.label])}`;
  text.append(String(number), label);
  element.append(text);
  return element;
}

// Cards stay and change, so that bars move from frame to frame.
function fill(card, face, number) {
  const probability = percent(face.probabilities[face.label]);
  card.querySelector(".number").textContent = number;
  card.querySelector(".label").textContent = face.label;
  card.querySelector(".share").textContent = probability;
  card.querySelector("caption").textContent = `Face ${number}: probability of each expression`;
  const rows = card.querySelector("tbody");
  for (const [place, [label, share]] of Object.entries(face.probabilities).entries()) {
    const row = rows.rows[place] ?? rows.insertRow();
    if (!row.cells.length) {
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = label;
      row.append(head);
      const bar = row.insertCell().appendChild(document.createElement("span"));
      bar.append(document.createElement("i"));
      row.insertCell();
    }
    row.classList.toggle("most", label === face.label);
    row.querySelector("i").style.width = `${100 * share}%`;
    row.cells[2].textContent = percent(share);
  }
}

function show(said, name) {
  const cards = $("faces");
  while (cards.children.length > said.faces.length) cards.lastElementChild.remove();
  while (cards.children.length < said.faces.length) cards.append($("card").content.cloneNode(true));
  said.faces.forEach((face, place) => fill(cards.children[place], face, place + 1));
  $("boxes").replaceChildren(...said.faces.map((face, place) => box(face, place + 1, said.width, said.height)));
  const count = said.faces.length;
  $("boxes").classList.toggle("crowd", count > 3);
  say(`${name}: ${count ? `${count} face${count > 1 ? "s" : ""}` : "no face found"}`);
}

function time(kind, begun, said) {
  const mean = means[kind];
  mean.count += 1;
  mean.all += performance.now() - begun;
  mean.app += said.milliseconds;
  const [all, app] = [mean.all, mean.app].map((sum) => Math.round(sum / mean.count));
  const what = `${mean.count} ${kind}${mean.count > 1 ? "s" : ""}`;
  $("latency").textContent = `Mean latency of ${what}: ${all}\u202fms; finding and naming the faces took ${app}\u202fms of it.`;
}

async function look(file) {
  stop(true);
  const mine = turn, begun = performance.now();
  const name = file.name || "picture";
  try {
    if (file.size > LARGEST * 2 ** 20) throw new Error(`${name}: has more than ${LARGEST} MiB`);
    say(`${name}: looking for faces …`);
    const bytes = await file.arrayBuffer().catch(() => {
      throw new Error(`${name}: cannot be read`);
    });
    const said = await ask("picture", bytes, name);
    if (mine !== turn) return;
    stage($("picture"), said.width / said.height);
    $("picture").alt = name;
    $("picture").src = URL.createObjectURL(new Blob([bytes], { type: file.type }));
    show(said, name);
    time("picture", begun, said);
    await $("picture").decode().catch(() => {
      if (mine !== turn) return;
      $("picture").hidden = true;
      say(`${$("status").textContent} (the browser cannot show such a file)`);
    });
  } catch (error) {
    if (mine === turn) end(error.message);
  }
}

// Ends what is under way, camera or picture, and empties the stage; a picture may stay until the next one is there.
function stop(keep = false) {
  turn += 1;
  if (stream || !keep) stage(null);
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = $("video").srcObject = null;
  document.body.classList.remove("live");
  $("camera").textContent = "Start camera";
  $("camera").setAttribute("aria-pressed", "false");
  $("status").setAttribute("aria-live", "polite");
  say("");
}

async function watch() {
  stop();
  const mine = turn;
  try {
    if (!navigator.mediaDevices) throw new Error("This browser gives no page a camera.");
    $("camera").textContent = "Stop camera";
    $("camera").setAttribute("aria-pressed", "true");
    say("Waiting for the camera …");
    const given = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
    if (mine !== turn) {
      for (const track of given.getTracks()) track.stop();
      return;
    }
    stream = given;
    const video = $("video");
    stream.getVideoTracks()[0].onended = () => mine === turn && end("The camera is gone.");
    video.srcObject = stream;
    stage(video, 4 / 3);
    await video.play();
    if (mine !== turn) return;
    document.body.classList.add("live");
    means.frame = { count: 0, all: 0, app: 0 };
    say("The camera is on.");
    $("status").setAttribute("aria-live", "off"); // from here on it changes with the frames
    const canvas = document.createElement("canvas");
    while (mine === turn) {
      const begun = performance.now(), wide = video.videoWidth, high = video.videoHeight;
      const scale = Math.min(1, SHORTER / Math.min(wide, high));
      canvas.width = Math.round(wide * scale);
      canvas.height = Math.round(high * scale);
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
      const said = await ask("frame", blob, "camera");
      if (mine !== turn) return;
      $("frame").style.setProperty("--ratio", wide / high); // known only now, and a phone may be turned
      show(said, "Camera");
      time("frame", begun, said);
      await new Promise((done) => setTimeout(done, Math.max(0, begun + PAUSE - performance.now())));
    }
  } catch (error) {
    if (mine === turn) end(REFUSALS[error.name] ?? error.message);
  }
}

function end(message) {
  stop();
  say(message, true);
}

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) look(file);
  $("file").value = ""; // so that the same file can be chosen again
});
$("camera").addEventListener("click", () => ($("camera").getAttribute("aria-pressed") === "true" ? stop() : watch()));

function take(files, what) {
  if (files.length) look(files[0]);
  else say(`What was ${what} is no picture's file.`, true);
}
addEventListener("paste", (event) => take(event.clipboardData.files, "pasted"));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files, "dropped");
});
