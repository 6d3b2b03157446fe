/** Dimension keys: `overall`, `platform=ios`, `exp_1:A`. No DOM here. */

const CODES = { "%25": "%", "%3A": ":", "%28": "(" };
const decode = (text) => text.replace(/%25|%3A|%28/g, (code) => CODES[code]);

/** @returns {{dimension?: string, value?: string, experiment?: string, variant?: string}} */
export function parse(key) {
  const [, experiment, variant] = /^([^:]*):(.*)$/s.exec(key) ?? [];
  if (experiment !== undefined) return { experiment: decode(experiment), variant: decode(variant) };
  const [, dimension, value] = /^([^=]+)=(.*)$/s.exec(key) ?? [];
  return dimension === undefined ? {} : { dimension, value: decode(value) };
}

export const isRest = (key) => key.endsWith("=(other)");
export const isMissing = (key) => key.endsWith("=(none)");

/** A key's value. A value that looks like one of ours, or like nothing, is quoted. */
export function label(key) {
  const { value } = parse(key);
  const quoted = value === "" || (/^\((none|other)\)$/.test(value ?? "") && !isRest(key) && !isMissing(key));
  return quoted ? `“${value}”` : value ?? key;
}

/** The keys of a filter: all values of `platform`, or `platform=ios` alone. */
export const isOne = (filter) => parse(filter).dimension !== undefined;
export const matches = (filter, key) => (!filter ? key === "overall" : isOne(filter) ? key === filter : parse(key).dimension === filter);
