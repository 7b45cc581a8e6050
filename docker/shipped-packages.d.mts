export const ROOT: string;
export const LEFT_OUT: Readonly<Record<string, string>>;
export function shippedPackages(lock?: object, installed?: (path: string) => boolean): string[];
export function writeManifests(folder: string, shipped?: readonly string[]): void;
