// The summary: figures, bounds, and whether they hold; with RESULTS in the environment also as a file.

const shown = [
  ["http_req_duration{kind:request}", "requests, from sent to answered"],
  ["http_req_duration{kind:request,phase:steady}", "requests outside of the spike"],
  ["http_req_duration{kind:request,phase:spike}", "requests within the spike"],
  ["delivery_ms{via:socket}", "from a request to its event at a socket"],
  ["delivery_ms{via:socket,phase:steady}", "request to socket, outside of the spike"],
  ["delivery_ms{via:socket,phase:spike}", "request to socket, within the spike"],
  ["delivery_ms{via:poll}", "from a move to its event at a long poll"],
  ["delivery_ms{via:poll,phase:steady}", "move to long poll, outside of the spike"],
  ["delivery_ms{via:poll,phase:spike}", "move to long poll, within the spike"],
  ["since_commit_ms{via:socket}", "from the time of an event to a socket"],
  ["since_commit_ms{via:socket,phase:steady}", "event to socket, outside of the spike"],
];

const ms = (value) => (value === undefined ? "" : value.toFixed(1)).padStart(9);

function timesOf(metrics) {
  const lines = shown
    .filter(([name]) => metrics[name])
    .map(([name, what]) => {
      const { count, med, max, "p(95)": p95, "p(99)": p99 } = metrics[name].values;
      return `  ${what.padEnd(42)}${String(count).padStart(9)}${ms(med)}${ms(p95)}${ms(p99)}${ms(max)}`;
    });
  const head = ["count", "p50", "p95", "p99", "most"].map((text) => text.padStart(9)).join("");
  return [`  ${"milliseconds".padEnd(42)}${head}`, ...lines];
}

function boundsOf(metrics) {
  return Object.entries(metrics).flatMap(([name, metric]) =>
    Object.entries(metric.thresholds || {}).map(([bound, { ok }]) => {
      const key = bound.split(/[<>=]/, 1)[0];
      const value = metric.values[key];
      return { name, bound, ok, value: value === undefined ? 0 : value };
    }),
  );
}

const round = (value) => Math.round(value * 10) / 10;

export function handleSummary(data) {
  const bounds = boundsOf(data.metrics);
  const lines = bounds.map(({ name, bound, ok, value }) => `  ${ok ? "holds " : "MISSED"}  ${name}: ${bound} (${round(value)})`);
  const text = ["", ...timesOf(data.metrics), "", ...lines, "", ""].join("\n");
  const files = { stdout: text };
  if (__ENV.RESULTS) {
    const times = Object.fromEntries(shown.map(([name]) => [name, (data.metrics[name] || {}).values]));
    const counts = Object.fromEntries(
      Object.entries(data.metrics)
        .filter(([, metric]) => metric.type === "counter")
        .map(([name, metric]) => [name, metric.values.count]),
    );
    files[__ENV.RESULTS] = JSON.stringify({ times, counts, bounds, seconds: data.state.testRunDurationMs / 1000 }, null, 1);
  }
  return files;
}
