// Reads a dashboard, JSON, from the standard input and tells what of it Grafana's own
// types do not have, as a JSON list.
import { readFileSync } from "node:fs";
import { problemsOfTypes } from "./types.mjs";

const dashboard = JSON.parse(readFileSync(0, "utf8"));
const raw = "@grafana/schema/dist/esm/raw";
const PANELS = {
  table: `${raw}/composable/table/panelcfg/x/TablePanelCfg_types.gen`,
  timeseries: `${raw}/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen`,
};

const sources = [
  `import type { Dashboard } from "${raw}/dashboard/x/Dashboard_types.gen";\n`,
  // A file may leave out what has a default, and has the text of an enumeration's value.
  "type Given<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]?: Given<T[K]> } : T;\n",
  `const dashboard: Dashboard = ${JSON.stringify(dashboard)};\n`,
];
const problems = [];
dashboard.panels.forEach(({ type, title, options, fieldConfig }, number) => {
  if (type === "row") return;
  if (!PANELS[type]) {
    problems.push(`${title}: there is no type for the panel ${type}`);
    return;
  }
  sources.push(
    `import type { Options as O${number}, FieldConfig as F${number} } from "${PANELS[type]}";\n`,
    `const options${number}: Given<O${number}> = ${JSON.stringify(options)};\n`,
    `const field${number}: Given<F${number}> = ${JSON.stringify(fieldConfig.defaults.custom ?? {})};\n`,
  );
});
console.log(JSON.stringify([...problems, ...problemsOfTypes(sources.join(""))]));
