// Accounts, their tokens, and tickets for sockets.

import { call } from "./api.js";

const password = "a password for load tests";

async function signIn(email, kind) {
  const body = { email, password };
  const answer = await call("POST", "/auth/login", { name: "/auth/login", body, kind });
  const { access_token, expires_in } = answer.body;
  // Another one is asked for before this one expires.
  return { email, token: access_token, until: Date.now() + expires_in * 800 };
}

// A new account that is signed in.
export async function signUp(role, email) {
  const body = { email, password, role, name: "Load" };
  await call("POST", "/auth/signup", { name: "/auth/signup", body, wanted: [201], kind: "setup" });
  return signIn(email, "setup");
}

// Sign-ins of this virtual user that are newer than those of the preparation.
const renewed = new Map();

// A token of the account that is good for a while.
export async function tokenOf(account) {
  let current = renewed.get(account.email) || account;
  if (Date.now() > current.until) {
    current = await signIn(account.email, "request");
    renewed.set(account.email, current);
  }
  return current.token;
}

// A ticket, which opens one socket within 30 seconds.
export async function ticketOf(account, hub, phase) {
  const token = await tokenOf(account);
  const answer = await call("POST", "/auth/ticket", { name: "/auth/ticket", token, hub, phase });
  return answer.body.ticket;
}
