import { backupAge, RATE, signInFailures } from './figures.mjs';
import { badAbove, grown, lines, query, stat, steps } from './panels.mjs';

export default {
  name: 'security', title: 'security and safekeeping', description: 'Who comes in and who is refused, what is on record, and what a disaster would cost.',
  rows: [
    [
      signInFailures,
      stat('Emergency accesses', 'In force, and not reviewed.', [query('max(healthvision_break_glass_active{#N})', 'in force'), query('max(healthvision_break_glass_unreviewed{#N})', 'to review')], { decimals: 0, thresholds: badAbove(1) }),
      stat('Faults of the audit trail', 'That sealing met in the last day, each process by itself: forged events, broken chains. Each is an alert.', query('sum(healthvision:audit_chain_faults:increase1d{#N})'), { decimals: 0, noValue: 'none', thresholds: badAbove(1) }),
      stat('Not sealed for', 'Age of the oldest audit event that is in no chain yet. Alert above 15 minutes.', query('max(healthvision_audit_unsealed_seconds{#N})'), { unit: 's', decimals: 0, thresholds: badAbove(900) }),
      backupAge,
      stat('Certificate', 'Days until the first one expires, where the product itself speaks TLS. Alert below 30, and below 7.', query('(min(healthvision_tls_certificate_expiry_timestamp_seconds{#N}) - time()) / 86400'), { unit: 'd', decimals: 0, thresholds: steps(['red', null], ['orange', 7], ['green', 30]), noValue: 'no TLS here' }),
    ],
    [
      lines('Sign-ins', 'Of the last 15 minutes, by outcome.', query('sum by (outcome) (healthvision:sign_ins:increase15m{#N})', '{{outcome}}'), { stacked: true }),
      lines('Sign-ins that limits refuse', 'In the last 15 minutes, by limit. Together with those that fail, more than 100 are an alert.', query('sum by (limit) (healthvision:sign_in_refusals:increase15m{#N})', '{{limit}}'), { stacked: true, thresholds: badAbove(100) }),
    ],
    [
      lines('Refused requests', 'Of the last 15 minutes, by reason and by what the caller is or showed.', query('sum by (reason, kind) (healthvision:access_refusals:increase15m{#N})', '{{reason}} {{kind}}'), { stacked: true }),
      lines('In other institutions', 'Calls of platform administrators within the last hour, by outcome, and emergency accesses that were taken.', [query(`sum by (outcome) (${grown('healthvision_institution_crossings_total', '', '1h')})`, 'crossing {{outcome}}'), query(`sum(${grown('healthvision_break_glass_total', '', '1h')})`, 'emergency access')]),
    ],
    [
      lines('Audit events', 'Written per second, by outcome.', query(`sum by (outcome) (rate(healthvision_audit_events_total{#N}[${RATE}]))`, '{{outcome}}'), { unit: 'suffix:/s', stacked: true }),
      lines('Audit events that are late', 'That could not be written at once in the last five minutes, and that wait for the database (AUDIT_FAILURE=queue).', [query('sum(increase(healthvision_audit_write_failures_total{#N}[5m]))', 'failed'), query('sum(healthvision_audit_backlog_events{#N})', 'waiting')]),
    ],
    [
      lines('Age of the newest backup', 'Alert above 24 hours.', query('max(healthvision_backup_age_seconds{#N})', 'age'), { unit: 's', thresholds: badAbove(86_400) }),
      lines('Failed tries of jobs', 'Of the last hour, by what they met. "bug" and "bad-input" are given up soon.', query(`sum by (class) (${grown('healthvision_job_failures_total', '', '1h')})`, '{{class}}'), { stacked: true }),
    ],
  ],
};
