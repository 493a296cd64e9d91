// Draws the panels of a dashboard with Grafana's own components, from the answers of its queries.
// `window.show({dashboard, results})` is called by the test; `window.drawn` is set when it is done.
import "uplot/dist/uPlot.min.css";
import React from "react";
import { createRoot } from "react-dom/client";
import {
  applyFieldOverrides,
  createTheme,
  dateTime,
  FieldType,
  getDisplayProcessor,
  getFieldDisplayName,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  ThemeContext,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import {
  BarGauge,
  BigValue,
  GlobalStyles,
  PanelChrome,
  Table,
  TimeSeries,
} from "@grafana/ui";

const CELL = 38;
const GAP = 8;
const COLUMN = 56;
const theme = createTheme({ colors: { mode: "dark" } });

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(
    (found) => ({ id: found.id, name: found.name, transformation: async () => found }),
  ),
);

// --- from an answer of Prometheus to frames, as its plugin does it ---------------------------

function legend(template, labels) {
  if (!template) return undefined;
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
}

// "NaN" is no value: there was nothing to divide by.
function number(text) {
  return Number.isNaN(Number(text)) ? null : Number(text);
}

function seriesFrames(target, answer) {
  return answer.map((series) => {
    const points = series.values ?? [series.value];
    const name = legend(target.legendFormat, series.metric);
    return toDataFrame({
      refId: target.refId,
      fields: [
        { name: "Time", type: FieldType.time, values: points.map(([at]) => at * 1000) },
        {
          name: "Value",
          type: FieldType.number,
          values: points.map(([, value]) => number(value)),
          labels: series.metric,
          config: { displayNameFromDS: name },
        },
      ],
    });
  });
}

function tableFrame(target, answer, several) {
  const labels = [...new Set(answer.flatMap((series) => Object.keys(series.metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: answer.map(({ value }) => value[0] * 1000) },
      ...labels.map((name) => ({
        name,
        type: FieldType.string,
        config: { filterable: true },
        values: answer.map(({ metric }) => metric[name] ?? ""),
      })),
      {
        name: several ? `Value #${target.refId}` : "Value",
        type: FieldType.number,
        values: answer.map(({ value }) => number(value[1])),
      },
    ],
  });
}

// The properties that a panel's field configuration may set. Grafana's own list is part of its
// application and not of its packages; the code that applies them is.
const STANDARD = [
  ...["color", "decimals", "displayName", "mappings", "max", "min", "noValue", "thresholds"],
  "unit",
];

function registry({ defaults, overrides }) {
  const custom = Object.keys(defaults.custom ?? {}).map((name) => `custom.${name}`);
  const set = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const ids = [...new Set([...STANDARD, ...custom, ...set])];
  return new Registry(() =>
    ids.map((id) => ({
      id,
      name: id,
      path: id.replace(/^custom\./, ""),
      isCustom: id.startsWith("custom."),
      shouldApply: () => true,
      // JSON has no -Infinity, with which the first threshold begins.
      process: (value) =>
        id === "thresholds"
          ? { ...value, steps: value.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) }
          : value,
    })),
  );
}

async function framesOf(panel, results) {
  const several = panel.targets.length > 1;
  let frames = panel.targets.flatMap((target, index) =>
    target.format === "table"
      ? results[index].length
        ? [tableFrame(target, results[index], several)]
        : []
      : seriesFrames(target, results[index]),
  );
  if (panel.transformations.length)
    frames = await new Promise((resolve, reject) =>
      transformDataFrame(panel.transformations, frames).subscribe({ next: resolve, error: reject }),
    );
  return applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: "utc",
  });
}

// --- one component for each type of panel ----------------------------------------------------

function NoData({ panel }) {
  return <div className="nodata">{panel.fieldConfig.defaults.noValue ?? "No data"}</div>;
}

function numbers(frames) {
  return frames.flatMap((frame) =>
    frame.fields
      .filter((field) => field.type === FieldType.number)
      .map((field) => {
        const display = field.display ?? getDisplayProcessor({ field, theme });
        const shown = display(field.values[field.values.length - 1]);
        return { ...shown, title: getFieldDisplayName(field, frame, frames), field };
      }),
  );
}

function Body({ panel, frames, width, height, range }) {
  if (!frames.length) return <NoData panel={panel} />;
  if (panel.type === "timeseries") {
    const { legend } = panel.options;
    return (
      <TimeSeries
        frames={frames} structureRev={1} width={width} height={height} timeRange={range}
        timeZone="utc" legend={legend} options={panel.options}
      />
    );
  }
  if (panel.type === "stat") {
    const [value] = numbers(frames);
    const { colorMode, graphMode, justifyMode } = panel.options;
    return (
      <BigValue
        theme={theme} width={width} height={height} value={{ ...value, title: undefined }}
        colorMode={colorMode} graphMode={graphMode} justifyMode={justifyMode}
      />
    );
  }
  if (panel.type === "bargauge") {
    const values = numbers(frames);
    const most = Math.max(...values.map((value) => value.numeric));
    const each = Math.min(40, height / values.length);
    return values.map((value) => (
      <BarGauge
        key={value.title} theme={theme} width={width} height={each - 4} value={value}
        field={{ ...value.field.config, min: 0, max: most }} orientation="horizontal"
        display={value.field.display} displayMode={panel.options.displayMode} itemSpacing={4}
        showUnfilled={panel.options.showUnfilled} valueDisplayMode={panel.options.valueMode}
      />
    ));
  }
  const [frame] = frames;
  const sortBy = panel.options.sortBy.filter(({ displayName }) =>
    frame.fields.some((field) => getFieldDisplayName(field, frame) === displayName),
  );
  return <Table data={frame} width={width} height={height} initialSortBy={sortBy} />;
}

function Board({ dashboard, drawn, range }) {
  const size = (panel) => ({
    width: panel.gridPos.w * COLUMN - GAP,
    height: panel.gridPos.h * CELL - GAP,
  });
  const bottom = Math.max(...dashboard.panels.map((panel) => panel.gridPos.y + panel.gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: "relative", width: 24 * COLUMN, height: bottom * CELL }}>
        {dashboard.panels.map((panel) => {
          const { width, height } = size(panel);
          const place = { left: panel.gridPos.x * COLUMN, top: panel.gridPos.y * CELL };
          return (
            <div key={panel.id} id={`panel-${panel.id}`} style={{ position: "absolute", width, height, ...place }}>
              {panel.type === "row" ? (
                <h4 className="row">{panel.title}</h4>
              ) : (
                <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
                  {(innerWidth, innerHeight) => (
                    <Body panel={panel} frames={drawn[panel.id]} width={innerWidth} height={innerHeight} range={range} />
                  )}
                </PanelChrome>
              )}
            </div>
          );
        })}
      </div>
    </ThemeContext.Provider>
  );
}

window.show = async ({ dashboard, results, from, to }) => {
  const drawn = {};
  for (const panel of dashboard.panels)
    if (panel.type !== "row") drawn[panel.id] = await framesOf(panel, results[panel.id]);
  const [first, last] = [dateTime(from * 1000), dateTime(to * 1000)];
  const range = { from: first, to: last, raw: { from: first, to: last } };
  createRoot(document.getElementById("board")).render(
    <Board dashboard={dashboard} drawn={drawn} range={range} />,
  );
  // Two frames of the browser: what is measured in the first is drawn in the second.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  window.drawn = true;
};
