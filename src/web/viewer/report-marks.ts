interface Line { label: string; value: string }

/** What OHIF has read of a measurement group of an SR, before it draws it. */
export interface ReportMark {
  TrackingIdentifier: string;
  TrackingUniqueIdentifier: string;
  coords: { GraphicType: string; GraphicData: number[] }[];
  labels: Line[];
}

/**
 * What OHIF asks before it draws a mark of a report (`onBeforeSRAddMeasurement`): lines beside it that can be read. The certainty goes by
 * the name of what was found, and what is said of a whole image is said at one place, in it; OHIF would write all of it on top of each other, beside it.
 * OHIF draws five lines at most. Runs in the browser: the text of this function is put into the configuration, so it may use nothing from
 * outside itself.
 */
export function reportMarks(): (added: { measurement: ReportMark; SeriesInstanceUID: string }) => ReportMark {
  const MOST_LINES = 5;
  const NAMES: Record<string, string> = { 363698007: 'Finding site' };
  const ofWholeImages = new Map<string, { shown: Line[]; said: Map<string, Line> }>();
  const percent = ({ value }: Line): number => Number.parseFloat(value);
  const readable = ({ label, value }: Line, title: string): Line => ({ label: label === 'Certainty of Finding' ? title : (NAMES[label] ?? label), value: value.replace(/\bmm3$/, 'mm³').replace(/\.00 %$/, ' %') });
  const done = new Set<ReportMark>();
  return ({ measurement, SeriesInstanceUID }) => {
    // A mark is asked for again until its image is there.
    if (done.has(measurement)) return measurement;
    done.add(measurement);
    const { TrackingIdentifier: title, TrackingUniqueIdentifier: uid, coords: [first] } = measurement;
    measurement.labels = measurement.labels.map((line) => readable(line, title));
    const [certainty] = measurement.labels;
    if (first?.GraphicType !== 'POLYLINE' || first.GraphicData.length !== 10 || !certainty) return measurement;
    const image = `${SeriesInstanceUID} ${JSON.stringify(first)}`;
    const { shown, said } = ofWholeImages.get(image) ?? { shown: [], said: new Map<string, Line>() };
    ofWholeImages.set(image, { shown, said: said.set(uid, certainty) });
    const sorted = [...said.values()].sort((a, b) => percent(b) - percent(a));
    const perLine = Math.ceil(sorted.length / MOST_LINES);
    shown.length = 0;
    for (let at = 0; at < sorted.length; at += perLine) {
      const [head, ...rest] = sorted.slice(at, at + perLine);
      if (head) shown.push({ label: head.label, value: [head.value, ...rest.map(({ label, value }) => `${label}: ${value}`)].join(', ') });
    }
    // A short line at the left stands for the frame around the image: OHIF writes to the right of what it draws.
    const [, , width = 0, , , height = 0] = first.GraphicData;
    measurement.coords = [{ ...first, GraphicData: [0, height * 0.15, width * 0.02, height * 0.15] }];
    // The first one has the text of all; it is the same list, so that it grows with what comes.
    measurement.labels = said.keys().next().value === uid ? shown : [];
    return measurement;
  };
}
