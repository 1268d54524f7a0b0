// The life of an order over HTTP, and a reader of its room that has to get every event of it, once and in order.

import exec from "k6/execution";

import { call, nextHub } from "./api.js";
import { between, pause, phaseOf } from "./clock.js";
import { beginningOf, Position } from "./cursor.js";
import * as metrics from "./metrics.js";
import { tokenOf } from "./people.js";
import { customers, hearersOf, rooms } from "./settings.js";
import { stampNow } from "./stamp.js";
import { skus } from "./town.js";

// Requests of an order's life without long polls: menu, order, its room, list, order read, four or five moves, timeline, and
// one order of ten sent again.
export const requestsOfAnOrder = 10.6;

// Its events in the room of the business: created, and four or five moves.
export const eventsOfAnOrder = 5.5;

// Seconds between two moves: a life takes about two seconds.
const [thinkLeast, thinkMost] = [0.1, 0.5];

const moves = {
  pickup: ["accepted", "preparing", "ready", "delivered"],
  delivery: ["accepted", "preparing", "ready", "picked_up", "delivered"],
};

function orderOf(number, business) {
  const body = {
    business_id: business.id,
    fulfilment: number % 2 ? "delivery" : "pickup",
    payment: "cash",
    items: [{ sku: skus[number % skus.length], qty: 1 + (number % 3) }],
    customer: { name: "Zoë", phone: "+351 900 000 000" },
    notes: stampNow(),
  };
  if (body.fulfilment === "delivery") body.address = { text: "Rua do Exemplo 1", lat: 38.711, lng: -9.139 };
  return body;
}

class Life {
  constructor(data, number) {
    this.data = data;
    this.index = number % rooms;
    this.business = data.businesses[this.index];
    this.customer = data.customers[number % customers];
    this.key = `${data.run}-${exec.scenario.name}-order-${number}`;
    // Where there are no sockets, nobody is expected to hear of it.
    this.hearers = __ENV.LISTENED ? hearersOf(this.index) : 0;
  }

  async call(who, method, path, given) {
    const token = await tokenOf(who === "customer" ? this.customer : this.business.owner);
    return call(method, path, { token, phase: phaseOf(Date.now(), this.data.began), ...given });
  }

  async ask(who, method, path, given) {
    return (await this.call(who, method, path, given)).body;
  }

  async place(number) {
    const body = orderOf(number, this.business);
    const given = { name: "/orders", body, key: this.key, wanted: [201] };
    this.order = await this.ask("customer", "POST", "/orders", given);
    metrics.deliveriesMissing.add(this.hearers);
    if (number % 10 === 0) {
      const again = await this.ask("customer", "POST", "/orders", given);
      if (again.id !== this.order.id) metrics.answersWrong.add(1);
    }
  }

  // One look into the order's room, which waits for an event if it is told to.
  async poll(wait) {
    const cursor = this.position ? `cursor=${encodeURIComponent(this.position.cursor)}&` : "";
    const path = `/rooms/order:${this.order.id}/events?${cursor}wait=${wait}`;
    const kind = wait > 0 ? "poll" : "request";
    const answer = await this.call("customer", "GET", path, { name: "/rooms/{room}/events", kind });
    return { ...answer.body, arrived: answer.arrived };
  }

  // What the room says is exactly one event, the next one, with this status.
  heard(events, status) {
    const [event] = events;
    if (events.length !== 1 || event.event.data.status !== status) {
      metrics.deliveriesWrong.add(1);
      console.error(`${this.order.id}: ${status} expected, but got ${JSON.stringify(events)}`);
    }
    for (const { cursor } of events) {
      const arrival = this.position.take(cursor);
      if (arrival === "repeated") metrics.deliveriesRepeated.add(1);
      if (arrival === "gap") metrics.deliveriesOutOfOrder.add(1);
    }
  }

  async hearBeginning() {
    const now = await this.poll(0);
    this.position = new Position(beginningOf(now.cursor));
    this.heard((await this.poll(0)).events, "placed");
  }

  async move(status) {
    const poll = this.poll(20);
    await pause(between(thinkLeast, thinkMost));
    const change = { status, version: this.order.version };
    if (status === "accepted") change.prep_minutes = 15;
    const sent = Date.now();
    const given = { name: "/orders/{id}/status", body: change, wanted: [200, 409], hub: nextHub() };
    let moved = await this.ask("merchant", "PATCH", `/orders/${this.order.id}/status`, given);
    // A move whose answer was lost and that is sent again is refused as stale, with the status that it has made.
    if (moved.current_status === status) moved = { ...this.order, status, version: moved.current_version };
    if (moved.status !== status) throw new Error(`${this.order.id} is not ${status}: ${JSON.stringify(moved)}`);
    this.order = moved;
    metrics.deliveriesMissing.add(this.hearers);
    const answer = await poll;
    this.heard(answer.events, status);
    metrics.deliveryMs.add(answer.arrived - sent, { via: "poll", phase: phaseOf(sent, this.data.began) });
  }

  async run(number) {
    const { id } = this.business;
    await this.ask("customer", "GET", `/businesses/${id}/menu`, { name: "/businesses/{id}/menu" });
    await this.place(number);
    await this.hearBeginning();
    const list = await this.ask("merchant", "GET", `/orders?business_id=${id}&status=placed`, { name: "/orders" });
    if (!list.items.some(({ id: listed }) => listed === this.order.id)) metrics.answersWrong.add(1);
    for (const status of moves[this.order.fulfilment]) await this.move(status);
    const read = await this.ask("customer", "GET", `/orders/${this.order.id}`, { name: "/orders/{id}" });
    if (read.status !== "delivered") metrics.answersWrong.add(1);
    await this.ask("merchant", "GET", `/orders/${this.order.id}/timeline`, { name: "/orders/{id}/timeline" });
    metrics.ordersDone.add(1);
  }
}

export async function order(data) {
  const number = exec.scenario.iterationInTest;
  await new Life(data, number).run(number);
}
