/** File name and text of each dashboard. */
export function dashboards(): { file: string; text: string }[];
