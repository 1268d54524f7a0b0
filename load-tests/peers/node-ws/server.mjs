// Every payload posted to /pub goes to every socket on /sub. One process, as ws is one thread.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const payload = Buffer.concat(chunks);
    for (const socket of sockets.clients) socket.send(payload, { binary: false });
    response.writeHead(202).end();
  });
});
const sockets = new WebSocketServer({ server, path: "/sub", perMessageDeflate: false });
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
