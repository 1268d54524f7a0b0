// The preparation: merchants with businesses and menus, customers, and the cursor of each room before the load.

import { call, each } from "./api.js";
import { signUp } from "./people.js";
import { customers, hubs, rooms, roomsOfAnOwner } from "./settings.js";

// Requests at once in the preparation. A hub computes few password hashes at a time.
const atOnce = 12;
const signUpsAtOnce = 2 * hubs.length;

export const skus = ["bread", "soup", "cake"];

async function makeBusiness(number, owner, run) {
  const { token } = owner;
  const place = { lat: 38.71, lng: -9.14 };
  const body = { name: `Load ${number}`, location: place, zone: "load", currency: "EUR", timezone: "Europe/Lisbon" };
  const key = `${run}-business-${number}`;
  const made = await call("POST", "/businesses", { name: "/businesses", token, key, body, wanted: [201], kind: "setup" });
  const { id } = made.body;
  for (const sku of skus) {
    const item = { sku, name: `Load ${sku}`, category: "All", price_minor: 200 };
    const given = { name: "/businesses/{id}/menu/items", token, key: `${key}-${sku}`, body: item, wanted: [201], kind: "setup" };
    await call("POST", `/businesses/${id}/menu/items`, given);
  }
  // Sockets begin here, so that none misses an event, whenever it opens.
  const room = await call("GET", `/rooms/business:${id}/events`, { name: "/rooms/{room}/events", token, kind: "setup" });
  return { id, owner, cursor: room.body.cursor };
}

// What the scenarios are given. Every run has accounts of its own.
export async function makeTown() {
  const run = `k6-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6).toString(36)}`;
  const people = (role, count) =>
    each(Array.from({ length: count }), signUpsAtOnce, (_, number) => signUp(role, `${run}-${role}-${number}@example.org`));
  const owners = await people("merchant", Math.ceil(rooms / roomsOfAnOwner));
  const numbers = Array.from({ length: rooms }, (_, number) => number);
  const businesses = await each(numbers, atOnce, (number) => makeBusiness(number, owners[number % owners.length], run));
  const buyers = await people("customer", customers);
  return { run, businesses, customers: buyers, began: Date.now() };
}
