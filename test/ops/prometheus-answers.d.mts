export function filledIn(expr: string, durations: { range: string; rate: string }): string;

/** @returns `data` of the answer. */
export function asked(url: string, path: string, parameters: Record<string, string>): Promise<unknown>;

export function answersOf(url: string, panel: { targets: { expr: string; legendFormat: string; instant: boolean }[] }, window: { from: number; to: number; rate: string }): Promise<{ legend: string; labels: Record<string, string>; points: [number, number][] }[]>;
