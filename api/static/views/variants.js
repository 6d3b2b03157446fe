/** One experiment's variants in a table: what the window's finished cohorts add up to. */

import { swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { csvButton, table } from "../figure.js";
import { count, percent, points } from "../format.js";
import { difference, sum } from "../numbers.js";

/** Users of one metric's finished cohorts. Cohorts of different days share no user, so they add up. */
function pooled(one, id, metric, part) {
  const rows = one.series.filter((point) =>
    point.variant_id === id && point.metric_name === metric && point.is_final !== false && point.dimensions);
  return { n: sum(rows.map((row) => row.dimensions.cohort_size ?? 0)), k: sum(rows.map(part)) };
}

export function variantsCard(one, variants) {
  const title = "Variants";
  const rows = variants.map((variant) => {
    const id = variant.variant_id;
    return {
      ...variant,
      assigned: one.latest_metrics_by_variant[id]?.users_assigned ?? null,
      rate: pooled(one, id, "logging_rate_24h_by_variant", (row) => row.dimensions.converted_users ?? 0),
      active: pooled(one, id, "users_active_d1", (row) => row.value),
      sessions: pooled(one, id, "sessions_submitted_d7", (row) => row.value),
    };
  });
  const control = rows.find((row) => row.is_control);
  const columns = [
    { label: "variant", title: "Variant", write: (value, row) => el("span", { class: "variant" },
      swatch(row.at.color), name(row.at.label, 28), row.at.is_control && el("span", { class: "tag" }, "control")) },
    { label: "weight", title: "Weight", number: true, write: percent },
    { label: "users_assigned", title: "Assigned", number: true, write: count },
    { label: "cohort", title: "Cohort", number: true, write: count },
    { label: "logging_rate_24h", title: "24-hour logging rate", number: true, write: percent },
    { label: "difference_to_control", title: "Against control, 95% interval", number: true, write: (value, row) => against(row.gap) },
    { label: "active_d1_share", title: "Active after a day", number: true, write: percent },
    { label: "sessions_d7_per_user", title: "Sessions in 7 days, per user", number: true,
      write: (value) => (Number.isFinite(value) ? value.toFixed(2) : "–") },
  ];
  const share = ({ k, n }) => (n ? k / n : NaN);
  const cells = rows.map((row) => {
    const gap = control && row !== control ? difference(control.rate, row.rate) : null;
    const line = [row.variant_id, row.weight, row.assigned, row.rate.n, share(row.rate), gap?.value ?? null,
      share(row.active), share(row.sessions)];
    return Object.assign(line, { at: row, gap });
  });
  return el("section", { class: "card figure", "aria-labelledby": "variants" },
    el("div", { class: "figure-head" }, el("h3", { id: "variants" }, title),
      el("div", { class: "figure-tools" }, csvButton(title, "variants", columns,
        cells.map((line) => line.map((value) => (Number.isNaN(value) ? null : value)))))),
    table(title, columns, cells),
    el("p", { class: "note" }, "Rates are over the new users of this window whose cohorts have matured. "
      + "An interval that holds zero means that the difference may be chance."));
}

function against(gap) {
  if (!gap) return "–";
  const sure = gap.low > 0 ? "good" : gap.high < 0 ? "bad" : "";
  return [el("b", { class: sure }, points(gap.value)), el("span", { class: "range" }, ` ${points(gap.low)} to ${points(gap.high)}`)]
    .reduce((box, part) => (box.append(part), box), el("span"));
}
