// Events at a pace: notifications of 200 to 500 bytes, posted to each business in turn.

import exec from "k6/execution";

import { call } from "./api.js";
import { phaseOf } from "./clock.js";
import { deliveriesMissing } from "./metrics.js";
import { tokenOf } from "./people.js";
import { hearersOf, rooms } from "./settings.js";
import { messageOf } from "./stamp.js";

export async function publish(data) {
  const number = exec.scenario.iterationInTest;
  const index = number % rooms;
  const business = data.businesses[index];
  await call("POST", `/businesses/${business.id}/notifications`, {
    name: "/businesses/{id}/notifications",
    token: await tokenOf(business.owner),
    body: { type: "LOAD", title: "Load", message: messageOf(number) },
    key: `${data.run}-${exec.scenario.name}-${number}`,
    wanted: [201],
    phase: phaseOf(Date.now(), data.began),
  });
  deliveriesMissing.add(hearersOf(index));
}
