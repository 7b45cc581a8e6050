import { completion, studiesCompleted } from './figures.mjs';
import { badAbove, badBelow, bars, grown, lines, query, stat } from './panels.mjs';

export default {
  name: 'business', title: 'business', description: 'Studies and results, how people judge them, and whether they arrive.',
  rows: [
    [
      stat('Studies', 'That became whole within the time shown.', query(`sum(${grown('healthvision_studies_completed_total', '', '$__range')})`), { decimals: 0 }),
      stat('Analyses', 'That ended with an answer within the time shown.', query(`sum(${grown('healthvision_analysis_runs_total', 'outcome=~"succeeded|not-analysable"', '$__range')})`), { decimals: 0 }),
      completion,
      stat('Reviews', 'Of results, by people, within the time shown.', query(`sum(${grown('healthvision_reviews_total', '', '$__range')})`), { decimals: 0 }),
      stat('Agreement', 'Share of the labels that people judged and agree with, in the last 30 days, of the model that they agree with least. Alert below 80 %, from twenty reviews in a week on.', query('1 - max(healthvision_model_label_disagreement_rate{#N})'), { unit: 'percentunit', decimals: 1, thresholds: badBelow(0.8) }),
      stat('Critical results open', 'That nobody has acknowledged. Alert after an hour.', query('max(healthvision_escalations_open{#N})'), { decimals: 0, thresholds: badAbove(1) }),
    ],
    [
      studiesCompleted,
      lines('Analyses', 'That ended within the last hour, by analysis.', query('sum by (analysis) (healthvision:runs:increase1h{#N})', '{{analysis}}'), { stacked: true }),
    ],
    [
      bars('Completion', 'Of the last hour, by analysis. Alert below 95 % of all.', query('(sum by (analysis) (healthvision:runs:increase1h{outcome=~"succeeded|not-analysable", #N}) or sum by (analysis) (healthvision:runs:increase1h{#N}) * 0) / sum by (analysis) (healthvision:runs:increase1h{outcome=~"succeeded|not-analysable|failed", #N})', '{{analysis}}'), { unit: 'percentunit', decimals: 1, max: 1, thresholds: badBelow(0.95) }),
      lines('Reviews', 'Of the last hour, by what people said.', query(`sum by (outcome) (${grown('healthvision_reviews_total', '', '1h')})`, '{{outcome}}'), { stacked: true }),
    ],
    [
      bars('Labels that people disagree with', 'Share of those that they judged, of the last 30 days. Alert above 20 %.', query('max by (model, version) (healthvision_model_label_disagreement_rate{#N})', '{{model}} {{version}}'), { unit: 'percentunit', decimals: 1, max: 1, thresholds: badAbove(0.2) }),
      bars('Findings that people let stand', 'Share of those that they judged, of the last 30 days. Alert below 80 %.', query('min by (model, version) (healthvision_model_accept_rate{#N})', '{{model}} {{version}}'), { unit: 'percentunit', decimals: 1, max: 1, thresholds: badBelow(0.8) }),
    ],
    [
      lines('False and missed findings', 'For each reviewed study, of the last 30 days.', [query('max by (model, version) (healthvision_model_false_positives_per_study{#N})', 'false: {{model}} {{version}}'), query('max by (model, version) (healthvision_model_missed_per_study{#N})', 'missed: {{model}} {{version}}')], { decimals: 2 }),
      lines('Drift of scores', 'Population stability index of this week against those before: the ten highest, of everything and of each scanner and station. Alert above 0.25.', query('topk(10, max by (model, by, group) (healthvision_model_score_psi{#N}))', '{{model}} {{by}} {{group}}'), { decimals: 2, thresholds: badAbove(0.25) }),
    ],
    [
      lines('Drift of inputs', 'How far the mean of an input of this week is from that before, in standard deviations: the ten largest. Alert above 2.', query('topk(10, max by (model, input) (abs(healthvision_model_input_shift{#N})))', '{{model}} {{input}}'), { decimals: 2, thresholds: badAbove(2) }),
      lines('Critical results', 'Escalations that ended within the last hour, by outcome, and steps of their chains that were taken.', [query(`sum by (outcome) (${grown('healthvision_escalations_total', '', '1h')})`, '{{outcome}}'), query(`sum(${grown('healthvision_escalation_steps_total', '', '1h')})`, 'steps')]),
    ],
    [
      lines('Webhooks', 'Tries of the last half hour, by outcome.', query('sum by (outcome) (healthvision:webhook_tries:increase30m{#N})', '{{outcome}}'), { stacked: true }),
      lines('PACS, RIS and e-mails', 'Tries of the last half hour, by kind and outcome.', [query('sum by (kind, outcome) (healthvision:destination_tries:increase30m{#N})', '{{kind}} {{outcome}}'), query('sum by (kind, outcome) (healthvision:mails:increase30m{#N})', 'e-mail {{kind}} {{outcome}}')], { stacked: true }),
    ],
  ],
};
