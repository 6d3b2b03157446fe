/** One experiment's variants in a table: what the window's finished cohorts add up to. */

import { swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { card } from "../figure.js";
import { count, decimal, percent, points } from "../format.js";
import { difference, sum } from "../numbers.js";

export function variantsCard(one, variants, days, find) {
  /** Users of one metric's finished cohorts. Cohorts of different days share no user, so they add up. */
  const pooled = (id, metric, part) => {
    const rows = days.map((day) => find(metric, id, day)).filter((point) => point?.dimensions && point.is_final !== false);
    return { n: sum(rows.map((row) => row.dimensions.cohort_size ?? 0)), k: sum(rows.map(part)) };
  };
  const rows = variants.map((variant) => {
    const id = variant.variant_id;
    return {
      ...variant,
      assigned: one.latest_metrics_by_variant[id]?.users_assigned ?? null,
      rate: pooled(id, "logging_rate_24h_by_variant", (row) => row.dimensions.converted_users ?? 0),
      second: pooled(id, "users_active_d1", (row) => row.value),
      sessions: pooled(id, "sessions_submitted_d7", (row) => row.value),
    };
  });
  const control = rows.find((row) => row.control);
  const everyone = sum(rows.map((row) => row.assigned ?? 0));
  const share = ({ k, n }) => (n ? k / n : NaN);
  return card({
    title: "Variants", file: "variants",
    columns: [
      { label: "variant", title: "Variant", write: (value, row) => el("span", { class: "variant" },
        swatch(row.at.color), name(row.at.label, 28), row.at.control && el("span", { class: "tag" }, "control")) },
      { label: "weight", title: "Weight", number: true, write: percent },
      { label: "share_of_assigned", title: "Share of assigned", number: true, write: percent },
      { label: "users_assigned", title: "Assigned", number: true, write: count },
      { label: "cohort", title: "Cohort", number: true, write: count },
      { label: "logging_rate_24h", title: "24-hour logging rate", number: true, write: percent },
      { label: "difference_to_control", title: "Against control, 95% interval", number: true, write: (value, row) => against(row.gap) },
      { label: "second_event_24h_share", title: "Second event within 24 hours", number: true, write: percent },
      { label: "sessions_d7_per_user", title: "Sessions in 7 days, per user", number: true, write: decimal },
    ],
    rows: () => rows.map((row) => {
      const gap = control && row !== control ? difference(control.rate, row.rate) : null;
      const line = [row.variant_id, row.weight, everyone ? (row.assigned ?? 0) / everyone : null, row.assigned, row.rate.n,
        share(row.rate), gap?.value ?? null, share(row.second), share(row.sessions)];
      return Object.assign(line, { at: row, gap });
    }),
    adds: ["share_of_assigned", "users_assigned", "cohort"],
    note: "Rates are over the new users of this window whose cohorts have matured. "
      + "An interval that holds zero means that the difference may be chance.",
  });
}

function against(gap) {
  if (!gap) return "–";
  const sure = gap.low > 0 ? "good" : gap.high < 0 ? "bad" : "";
  return el("span", {}, el("b", { class: sure }, points(gap.value)),
    el("span", { class: "range" }, ` ${points(gap.low)} to ${points(gap.high)}`));
}
