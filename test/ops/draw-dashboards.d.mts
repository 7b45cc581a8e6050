export interface Window { from: number; to: number; rate: string }

export function drawDashboards(options: { prometheus: string; window: Window; folder: string }): Promise<string[]>;
