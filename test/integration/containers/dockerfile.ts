import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/product.js';

export interface Instruction {
  name: string;
  /** The rest, on one line. */
  value: string;
}

/** The instructions of a stage of docker/Dockerfile, without its FROM. */
export function instructionsOf(target: string): Instruction[] {
  const lines = readFileSync(join(ROOT, 'docker', 'Dockerfile'), 'utf8').replaceAll(/^#.*\n/gm, '').replaceAll(/\s*\\\n\s*/g, ' ').split('\n').filter((line) => line !== '');
  const start = lines.findIndex((line) => line.endsWith(` AS ${target}`));
  if (start < 0) throw new Error(`there is no target ${target}`);
  const next = lines.findIndex((line, at) => at > start && line.startsWith('FROM '));
  return lines.slice(start + 1, next < 0 ? undefined : next).map((line) => {
    const [, name = '', value = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    return { name, value };
  });
}

/** The list of an instruction that is written as one. */
export function wordsOf(target: string, name: string): string[] {
  const value = instructionsOf(target).find((instruction) => instruction.name === name)?.value ?? '';
  // The form with brackets is JSON.
  return JSON.parse(value.slice(value.indexOf('['))) as string[];
}

/** What ENV sets. */
export function environmentOf(target: string): Record<string, string> {
  return Object.fromEntries(instructionsOf(target).filter(({ name }) => name === 'ENV').flatMap(({ value }) => value.split(' ')).map((pair) => pair.split('=', 2) as [string, string])); // ENV has nothing but pairs
}
