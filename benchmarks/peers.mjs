// The peers of peers.py that are written in JavaScript. They compute by TensorFlow.js in WebAssembly.
//
// node peers.mjs NAME FOLDER CORES, where FOLDER has node_modules, first prints a line of JSON: what was loaded, or
// what is missing. Then it answers each line of JSON on standard input: {"crops": n times side times side numbers,
// "side": 48, "batch": 64} gives "probabilities", n times 7 in the order of EXPRESSIONS, and the "seconds" of each call.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const [name, folder, cores] = process.argv.slice(2);
const require = createRequire(path.resolve(folder, "node_modules") + path.sep);
const packages = path.resolve(folder, "node_modules");
const say = (values) => process.stdout.write(JSON.stringify(values) + "\n");
console.log = console.info = console.warn = console.error; // what libraries print is no answer

// In Node its WebAssembly has one thread, whatever is asked for; tfjs-node, which has more, downloads its library.
async function tensorflow() {
  const tf = require("@tensorflow/tfjs");
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.join(packages, "@tensorflow/tfjs-backend-wasm/dist") + path.sep);
  wasm.setThreadsCount(Number(cores));
  await tf.setBackend("wasm");
  await tf.ready();
  return tf;
}

const version = (one) => JSON.parse(fs.readFileSync(path.join(packages, one, "package.json"))).version;
const versions = (...names) => Object.fromEntries(names.map((one) => [one, version(one)]));
const size = (shape) => shape.reduce((product, side) => product * side, 1);

// withFaceExpressions() of a face: FaceExpressionNet takes RGB of any size, 0 to 255, and resizes to 112x112 itself.
async function faceApi() {
  const tf = await tensorflow();
  const api = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
  const net = new api.FaceExpressionNet();
  const models = path.join(packages, "@vladmandic/face-api/model");
  await net.loadFromDisk(models);
  const order = ["angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"];
  return {
    file: path.join(models, "face_expression_model.bin"),
    parameters: [net, net.faceFeatureExtractor]
      .flatMap((part) => part.getParamList())
      .reduce((sum, { tensor }) => sum + tensor.size, 0),
    versions: versions("@vladmandic/face-api", "@tensorflow/tfjs"),
    async predict(crops, side) {
      const gray = tf.tensor4d(crops, [crops.length / side ** 2, side, side, 1], "int32");
      const faces = tf.tidy(() => tf.unstack(tf.tile(gray, [1, 1, 1, 3])));
      const found = await net.predictExpressions(faces);
      tf.dispose([gray, faces]);
      return found.flatMap((one) => order.map((label) => one[label]));
    },
  };
}

// Its src/gear/emotion.ts: gray, 64x64, -1 to 1; labels in our order. Of a gray crop no channel needs to be weighed.
async function human() {
  const tf = await tensorflow();
  const models = path.join(packages, "@vladmandic/human/models");
  const { modelTopology, weightsManifest } = JSON.parse(fs.readFileSync(path.join(models, "emotion.json")));
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  const data = fs.readFileSync(path.join(models, "emotion.bin"));
  const weightData = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const model = await tf.loadGraphModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  const floats = weightSpecs.filter((one) => one.dtype === "float32");
  return {
    file: path.join(models, "emotion.bin"),
    parameters: floats.reduce((sum, one) => sum + size(one.shape), 0),
    versions: versions("@vladmandic/human", "@tensorflow/tfjs"),
    async predict(crops, side) {
      const found = tf.tidy(() => {
        const gray = tf.div(tf.tensor4d(crops, [crops.length / side ** 2, side, side, 1], "float32"), 255);
        return model.execute(tf.mul(tf.sub(tf.image.resizeBilinear(gray, [64, 64]), 0.5), 2));
      });
      const probabilities = await found.data();
      found.dispose();
      return Array.from(probabilities);
    },
  };
}

const LOADERS = { "face-api": faceApi, human };

async function answer(recognizer, { crops, side, batch }) {
  const images = Uint8Array.from(crops);
  const pixels = side ** 2;
  const probabilities = [];
  const seconds = [];
  for (let first = 0; first < images.length; first += batch * pixels) {
    const begin = performance.now();
    probabilities.push(...(await recognizer.predict(images.slice(first, first + batch * pixels), side)));
    seconds.push((performance.now() - begin) / 1000);
  }
  return { probabilities, seconds };
}

async function main() {
  let recognizer;
  try {
    recognizer = await LOADERS[name]();
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ENOENT") throw error;
    return say({ missing: `a package of npm is not installed (${error.message.split("\n")[0].replaceAll(folder, "")})` });
  }
  const { file, parameters } = recognizer;
  const runtime = { Node: process.versions.node };
  say({ bytes: fs.statSync(file).size, parameters, versions: { ...recognizer.versions, ...runtime } });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    say(await answer(recognizer, JSON.parse(line)));
  }
  process.exit(0); // its threads would keep it alive
}

await main();
