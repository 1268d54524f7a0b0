// A device of a business: one socket after another with the same cursor, each event checked to come once and in order.

import { WebSocket } from "k6/websockets";

import { call, nextHub } from "./api.js";
import { between, pause, phaseOf } from "./clock.js";
import { Position } from "./cursor.js";
import { spoilt } from "./faults.js";
import * as metrics from "./metrics.js";
import { ticketOf, tokenOf } from "./people.js";
import { readStamp } from "./stamp.js";

// A hub forgets after 45 seconds that a device can ring.
const sayEveryMs = 30_000;

// An answer of a hub that takes longer counts as none.
const silenceMs = 10_000;

// k6 drops frames that arrive before it has told its script that the socket is open, and `hello` may be among them. A socket whose
// first frame is another one, such as the answer to a ping, is closed and opened again from the same cursor; so often, since a hub
// that never says hello is at fault.
const openings = 4;

// States of a WebSocket.
const openState = 1;
const closedState = 3;

const counted = ["notification", "order_created", "order_updated", "order_cancelled"];

export class Device {
  constructor(id, business, began) {
    this.id = id;
    this.account = business.owner;
    this.business = business.id;
    this.room = `business:${business.id}`;
    this.position = new Position(business.cursor);
    this.began = began;
    this.left = false;
    this.pauseMs = null;
    this.closing = false;
    this.opened = false;
    this.greeted = false;
    this.waiting = null;
    this.saidAt = Date.now();
  }

  // Opens a socket at a hub; ends when its `hello` is there.
  async open(hub = nextHub()) {
    for (let opening = 1; opening <= openings; opening += 1) {
      await this.connect(hub);
      if (this.greeted || this.left) return;
      metrics.socketsReopened.add(1);
      await this.disconnect();
    }
    this.isSilent("hello");
  }

  // Opens a socket; ends with its `hello`, or when k6 has lost that.
  async connect(hub) {
    const ticket = await ticketOf(this.account, hub, phaseOf(Date.now(), this.began));
    const query = `ticket=${encodeURIComponent(ticket)}&cursor=${encodeURIComponent(this.position.cursor)}`;
    const address = `${hub.replace(/^http/, "ws")}/ws/notifications/${this.business}?${query}`;
    this.opened = false;
    this.greeted = false;
    // The address has a ticket, which would make a series of its own of every socket.
    const socket = new WebSocket(address, null, { tags: { name: "WS /ws/notifications/{business_id}" } });
    socket.onopen = () => {
      this.opened = true;
      this.say({ type: "ping" });
    };
    socket.onmessage = (message) => this.take(message);
    socket.onclose = (close) => this.closed(close);
    this.socket = socket;
    await this.answer("hello");
  }

  // Closes the socket; ends when it is closed.
  async disconnect() {
    if (this.socket.readyState === closedState) return;
    this.closing = true;
    this.socket.close();
    if (!(await this.answer("close"))) this.isSilent("close");
    this.closing = false;
  }

  // Whether the hub gives its next answer in time.
  answer(what) {
    return new Promise((come) => {
      this.waiting = { what, until: Date.now() + silenceMs, come };
    });
  }

  answered(inTime = true) {
    const { waiting } = this;
    this.waiting = null;
    if (waiting) waiting.come(inTime);
  }

  isSilent(what) {
    metrics.socketsSilent.add(1);
    console.error(`${this.id} in ${this.room}: no ${what}`);
  }

  // Looks at the clock: is to be called about once a second.
  tick() {
    const now = Date.now();
    if (this.waiting && now > this.waiting.until) this.answered(false);
    if (now - this.saidAt > sayEveryMs) this.sayHere();
  }

  sayHere() {
    this.saidAt = Date.now();
    this.say({ type: "device", id: this.id, can_ring: true });
  }

  say(frame) {
    if (this.socket.readyState === openState) this.socket.send(JSON.stringify(frame));
  }

  take(message) {
    const frame = JSON.parse(message.data);
    if (!this.greeted && frame.type !== "hello") {
      // The hello was lost: nothing of this socket counts.
      if (this.waiting && this.waiting.what === "hello") this.answered(false);
    } else if (frame.type === "event") {
      // The time at which k6 read the frame, not the later one at which its JavaScript came to it.
      for (const one of spoilt(frame)) this.takeEvent(one, message.timestamp);
    } else if (frame.type === "hello") {
      this.takeHello(frame.rooms[0]);
    } else if (frame.type === "resync") {
      metrics.resyncs.add(1);
      this.position = new Position(frame.cursor);
    } else if (frame.type === "token_expiring") {
      tokenOf({ ...this.account, until: 0 }).then((token) => this.say({ type: "refresh", token }));
    } else if (frame.type === "reconnect") {
      this.pauseMs = frame.after_ms;
    } else if (frame.type === "error") {
      metrics.answersWrong.add(1);
      console.error(`${this.id}: ${message.data}`);
    }
  }

  takeHello(room) {
    metrics.socketsOpened.add(1);
    if (!room.recovered || room.cursor !== this.position.cursor) {
      metrics.deliveriesOutOfOrder.add(1);
      console.error(`${this.id} asked for ${this.position.cursor} and got ${JSON.stringify(room)}`);
    }
    this.openSince = Date.now();
    this.greeted = true;
    this.sayHere();
    this.answered();
  }

  takeEvent(frame, arrived) {
    const arrival = this.position.take(frame.cursor);
    if (arrival === "repeated") {
      metrics.deliveriesRepeated.add(1);
      return;
    }
    if (arrival === "gap") metrics.deliveriesOutOfOrder.add(1);
    this.say({ type: "ack", room: this.room, cursor: frame.cursor });
    if (!counted.includes(frame.event.type)) return;
    metrics.deliveries.add(1);
    metrics.deliveriesMissing.add(-1);
    const sent = readStamp(frame.event);
    if (sent === undefined) metrics.deliveriesWrong.add(1);
    const committed = Date.parse(frame.event.time);
    // What was sent while the device was away came later for that reason.
    const tags = { via: "socket", phase: phaseOf(committed, this.began) };
    if (sent > this.openSince) metrics.deliveryMs.add(arrived - sent, tags);
    if (committed > this.openSince) metrics.sinceCommitMs.add(arrived - committed, tags);
  }

  closed(close) {
    if (this.closing) {
      this.answered();
      return;
    }
    if (this.opened) {
      metrics.socketsLost.add(1);
      console.error(`${this.id}: closed with ${close.code} ${close.reason}`);
    } else {
      metrics.socketsRefused.add(1);
    }
    const after = this.pauseMs === null ? between(0.5, 2) : this.pauseMs / 1000;
    this.pauseMs = null;
    // Who waits for a hello gets that of the next socket.
    const { waiting } = this;
    this.waiting = null;
    pause(after)
      .then(() => (this.left ? undefined : this.open()))
      .then(() => waiting && waiting.come(true));
  }

  // Leaves for good, or until it comes back.
  async leave() {
    this.left = true;
    await this.disconnect();
  }

  // Leaves for so many seconds and comes back at the next hub.
  async leaveFor(away) {
    await this.leave();
    await pause(away);
    this.left = false;
    await this.open();
  }

  // Asks, after leaving, for what is behind the cursor, which is nothing when everything has arrived.
  async checkEnd() {
    const path = `/rooms/${this.room}/events?cursor=${encodeURIComponent(this.position.cursor)}`;
    const token = await tokenOf(this.account);
    const answer = await call("GET", path, { name: "/rooms/{room}/events", token, kind: "check" });
    metrics.deliveriesLate.add(answer.body.events.length);
    if (answer.body.resync) metrics.resyncs.add(1);
  }
}
