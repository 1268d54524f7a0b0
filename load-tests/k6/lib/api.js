// Requests to the hubs: in turn, with a key where one creates something, repeated when a hub says when to come again.

import http from "k6/http";

import { pause } from "./clock.js";
import { answersLost, answersShed, answersWrong } from "./metrics.js";
import { hubs } from "./settings.js";

// A refusal is repeated so often, and a request without an answer too; the idempotency key or the version makes that safe.
const tries = 20;

let turn = Math.floor(Math.random() * hubs.length);

// The next hub in turn.
export function nextHub() {
  turn = (turn + 1) % hubs.length;
  return hubs[turn];
}

function bodyOf(answer) {
  if (!answer.body) return null;
  try {
    return JSON.parse(answer.body);
  } catch {
    return null;
  }
}

// The time at which k6 had read an answer to what was asked at `asked`, as for the frames of a socket: not the later one at which its
// JavaScript came to it.
function arrivalOf(asked, { blocked, connecting, tls_handshaking: tls, duration }) {
  return asked + blocked + connecting + tls + duration;
}

// A request to one hub; its answer is one of `wanted`, or it throws. `name` is the route in the figures, `kind` says what bound
// its time has.
export async function call(method, path, given) {
  const { name, token, body, key, wanted = [200], kind = "request", hub = nextHub(), phase = "steady" } = given;
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const settings = { headers, tags: { name: `${method} ${name}`, kind, phase }, timeout: kind === "poll" ? "40s" : "15s" };
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const asked = Date.now();
    const answer = await http.asyncRequest(method, `${hub}/api/v1${path}`, body ? JSON.stringify(body) : null, settings);
    if (wanted.includes(answer.status)) {
      const arrived = arrivalOf(asked, answer.timings);
      return { status: answer.status, body: bodyOf(answer), headers: answer.headers, arrived };
    }
    const after = Number(answer.headers["Retry-After"]);
    if (answer.status === 0) {
      answersLost.add(1);
      await pause(0.5);
    } else if ([429, 503].includes(answer.status) && after >= 0) {
      answersShed.add(1);
      await pause(after + Math.random());
    } else {
      answersWrong.add(1);
      throw new Error(`${method} ${path} at ${hub} was answered with ${answer.status}: ${answer.body}`);
    }
  }
  answersWrong.add(1);
  throw new Error(`${method} ${path} at ${hub} was refused or lost ${tries} times`);
}

// Runs `work` for each of the items, `atOnce` at a time, and gives the results in order.
export async function each(items, atOnce, work) {
  const results = new Array(items.length);
  let next = 0;
  async function worker() {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index], index);
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
