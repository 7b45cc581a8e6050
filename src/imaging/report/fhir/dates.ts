/** DICOM dates and times as FHIR has them. @see PS3.5 §6.2, https://hl7.org/fhir/R4/datatypes.html#dateTime */

/** A DA that is a day of the calendar. */
export function fhirDate(da: string | null | undefined): string | undefined {
  const [, year, month, day] = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(da?.trim() ?? '') ?? [];
  if (year === undefined || month === undefined || day === undefined || year === '0000') return undefined;
  const text = `${year}-${month}-${day}`;
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text ? undefined : text;
}

/** With the time where the offset from UTC is known: FHIR has no times without one. */
export function fhirDateTime(da: string | null | undefined, tm: string | null | undefined, offset: string | null | undefined): string | undefined {
  const date = fhirDate(da);
  const [, hour, minute, second = '00'] = /^([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d)?(?:\.\d*)?$/.exec(tm?.trim() ?? '') ?? [];
  const [, sign, hours, minutes] = /^([+-])(0\d|1[0-4])([0-5]\d)$/.exec(offset?.trim() ?? '') ?? [];
  if (date === undefined || hour === undefined || minute === undefined || sign === undefined || hours === undefined || minutes === undefined) return date;
  return `${date}T${hour}:${minute}:${second}${sign}${hours}:${minutes}`;
}
