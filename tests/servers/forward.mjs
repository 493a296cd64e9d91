// A forward receiver by npm's @fluent-org/logger. Prints one JSON line for each event.
//   node forward.mjs '{"modules": DIR, "port": N, "sharedKey": …, "users": {…}, "key": …, "cert": …}'
import { createRequire } from "node:module";
import fs from "node:fs";

const settings = JSON.parse(process.argv[2]);
const require = createRequire(settings.modules + "/");
const { FluentServer } = require("@fluent-org/logger");

const options = { listenOptions: { host: "127.0.0.1", port: settings.port } };
if (settings.sharedKey) {
  options.security = {
    serverHostname: "receiver",
    sharedKey: settings.sharedKey,
    authorize: Boolean(settings.users),
    userDict: settings.users ?? {},
  };
}
if (settings.key) {
  options.tlsOptions = { key: fs.readFileSync(settings.key), cert: fs.readFileSync(settings.cert) };
}
const server = new FluentServer(options);
server.on("entry", (tag, time, record) => {
  fs.writeSync(1, JSON.stringify({ tag, seconds: time.epoch, nanoseconds: time.nano, record }) + "\n");
});
await server.listen();
fs.writeSync(2, "listening\n");
