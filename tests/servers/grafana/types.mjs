// Writes TypeScript that says: this JSON is a dashboard, these are options of that panel.
//   node types.mjs OUT DASHBOARD.json...     then: tsc OUT/*.ts
// Grafana publishes no JSON schema, but the types that its own front end is built with.
import fs from "node:fs";
import path from "node:path";

const [out, ...dashboards] = process.argv.slice(2);
const schema = path.resolve("node_modules/@grafana/schema");
const exported = JSON.parse(fs.readFileSync(path.join(schema, "package.json"))).exports;

// Panel type -> the module with its options.
const modules = {};
for (const name of Object.keys(exported)) {
  const found = name.match(/composable\/([a-z0-9]+)\/panelcfg\/x\/[\w.]+$/);
  if (found) modules[found[1]] = name.slice("./".length);
}

// JSON spells members of an enum as their values.
const AS_JSON =
  "type J<T> = 0 extends 1 & T ? any : T extends string ? `${T}` : T extends number ? " +
  "(number extends T ? T : `${T}` extends `${infer N extends number}` ? N : T) : " +
  "T extends (infer U)[] ? J<U>[] : T extends object ? { [K in keyof T]: J<T[K]> } : T;";

// What the Prometheus plugin adds to an annotation, beside the common type.
const OF_PROMETHEUS = ["expr", "step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"];

function* panels(list) {
  for (const panel of list) {
    yield panel;
    yield* panels(panel.panels ?? []);
  }
}

function source(file) {
  const dashboard = JSON.parse(fs.readFileSync(file));
  for (const annotation of dashboard.annotations.list)
    for (const name of OF_PROMETHEUS) delete annotation[name];
  const head = ['import type { Dashboard } from "@grafana/schema";', AS_JSON];
  const body = [`const dashboard: J<Dashboard> = ${JSON.stringify(dashboard, null, 1)};`];
  for (const panel of panels(dashboard.panels)) {
    const module = modules[panel.type];
    if (!module) {
      if (panel.type !== "row") throw new Error(`${file}: no panel type ${panel.type}`);
      continue;
    }
    const types = fs.readFileSync(path.join(schema, exported[`./${module}`].types), "utf8");
    const alias = `P${panel.id}`;
    head.push(`import type * as ${alias} from "@grafana/schema/${module}";`);
    const check = (name, type, value) => {
      if (new RegExp(`interface ${type}\\b`).test(types))
        body.push(
          `// ${panel.title}`,
          `const ${name}${panel.id}: J<Partial<${alias}.${type}>> = ${JSON.stringify(value, null, 1)};`,
        );
    };
    check("options", "Options", panel.options ?? {});
    check("custom", "FieldConfig", panel.fieldConfig?.defaults?.custom ?? {});
  }
  return [...head, ...body, "export {};\n"].join("\n");
}

fs.mkdirSync(out, { recursive: true });
for (const file of dashboards)
  fs.writeFileSync(path.join(out, `${path.basename(file, ".json")}.ts`), source(file));
