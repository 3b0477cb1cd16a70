// Preloaded into Azurite (node --require): it knows every account. Which accounts there are is ARM's business and
// checked by the front door before a request comes here; Azurite itself reads its accounts only once, at its start.
"use strict";

const { join } = require("node:path");
const { default: AccountDataStore } = require(
  join(process.cwd(), "node_modules/azurite/dist/src/common/AccountDataStore.js"),
);

const key = Buffer.alloc(64); // no request is signed with it: the front door passes on bearer tokens only
AccountDataStore.prototype.getAccount = (name) => ({ name, key1: key });
