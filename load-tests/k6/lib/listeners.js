// The crowd of sockets: opened evenly, some of them leave and come back, all of them check at the end that they have everything.

import exec from "k6/execution";

import { between, loadBegins, loadEnds, pause, spikeBegins } from "./clock.js";
import {
  leavingSeconds,
  openingSeconds,
  rooms,
  seconds,
  settleSeconds,
  sockets,
  socketsOfAVirtualUser,
} from "./settings.js";
import { Device } from "./socket.js";

const virtualUsers = Math.ceil(sockets / socketsOfAVirtualUser);
const whole = openingSeconds + seconds + settleSeconds + leavingSeconds;

// The scenario of k6 that runs `listen`; every virtual user has its part of the sockets.
export const crowd = (behaviour) => ({
  executor: "per-vu-iterations",
  exec: "listen",
  vus: virtualUsers,
  iterations: 1,
  maxDuration: `${whole + 60}s`,
  gracefulStop: "10s",
  env: { BEHAVIOUR: behaviour },
});

const secondsUntil = (time) => (time - Date.now()) / 1000;

async function live(device, number, data) {
  const place = number / sockets;
  await pause(secondsUntil(data.began + place * (openingSeconds - 2) * 1000));
  await device.open();
  const behaviour = __ENV.BEHAVIOUR;
  if (behaviour === "leave-once") {
    // Each of them once, at a moment of its own, with time to come back.
    const from = loadBegins(data.began) + 1000;
    await pause(secondsUntil(from + place * (loadEnds(data.began) - from - 8000)));
    await device.leaveFor(between(0.5, 5));
  } else if (behaviour === "storm" && number % 2 === 0) {
    await pause(secondsUntil(spikeBegins(data.began)));
    // As a hub that drains spreads them (server.drain_spread_s).
    await device.leaveFor(between(0, 5));
  }
  const over = loadEnds(data.began) + settleSeconds * 1000;
  await pause(secondsUntil(over + place * (leavingSeconds - 2) * 1000));
  await device.leave();
  await device.checkEnd();
}

export async function listen(data) {
  const first = exec.scenario.iterationInTest * socketsOfAVirtualUser;
  const numbers = Array.from({ length: Math.min(socketsOfAVirtualUser, sockets - first) }, (_, n) => first + n);
  const devices = numbers.map((number) => new Device(`${data.run}-${number}`, data.businesses[number % rooms], data.began));
  let over = false;
  const lives = Promise.all(numbers.map((number, n) => live(devices[n], number, data)));
  lives.finally(() => {
    over = true;
  });
  while (!over) {
    devices.forEach((device) => device.tick());
    await pause(1);
  }
  await lives;
}
