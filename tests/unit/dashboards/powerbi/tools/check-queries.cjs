// Parses Power Query texts with Microsoft's own parser: {name: text} on stdin, {name: what is wrong} on stdout.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const { DefaultSettings, TaskUtils } = createRequire(`${process.cwd()}/`)("@microsoft/powerquery-parser");

(async () => {
    const wrong = {};
    for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
        const task = await TaskUtils.tryLexParse(DefaultSettings, text);
        if (!TaskUtils.isParseStageOk(task)) wrong[name] = task.error.message;
    }
    process.stdout.write(JSON.stringify(wrong));
})();
