import { ConfigurationError, parseConfig } from '../../src/platform/config.js';

/** What a start with these variables would be refused for, a line each. */
export function linesOf(variables: NodeJS.ProcessEnv): string[] {
  try {
    parseConfig(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.lines;
    throw error;
  }
}
