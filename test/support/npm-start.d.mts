export const NPM_START: { env: Readonly<Record<string, string>>; argv: readonly string[] };
