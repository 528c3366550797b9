// The peers of recognizers.py that are written in JavaScript; the same orders, the same answers:
// node recognizers.mjs NAME FOLDER CORES, where FOLDER has node_modules. They compute by TensorFlow.js in WebAssembly.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]; // the order of the answers
const BATCH = 64;

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

async function answer(recognizer, order) {
  const images = fs.readFileSync(order.file);
  const pixels = order.side ** 2;
  const n = images.length / pixels;
  const some = (first, count) => Uint8Array.from(images.subarray(first * pixels, (first + count) * pixels));
  if (order.do === "predict") {
    const found = [];
    for (let row = 0; row < n; row += BATCH) {
      found.push(...(await recognizer.predict(some(row, Math.min(BATCH, n - row)), order.side)));
    }
    if (found.length !== n * CLASSES.length) throw new Error(`${found.length} probabilities for ${n} images`);
    fs.writeFileSync(order.out, Buffer.from(Float32Array.from(found).buffer));
    return { images: n };
  }
  const seconds = [];
  for (let call = 0; call <= order.calls; call += 1) {
    const crops = some((call * order.batch) % (n - order.batch + 1), order.batch);
    const begin = performance.now();
    await recognizer.predict(crops, order.side);
    seconds.push((performance.now() - begin) / 1000);
  }
  return { seconds: seconds.slice(1) };
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
