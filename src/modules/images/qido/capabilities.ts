/** One transaction on a resource. */
interface Method {
  id: string;
  name: 'GET' | 'POST';
  /** Media types of the answer. */
  answers: readonly string[];
  /** Media types of the request's body. */
  takes?: readonly string[];
  query?: readonly string[];
  /** Statuses and what they mean, beside 200. */
  statuses: readonly number[];
}

interface Resource {
  /** `{StudyInstanceUID}` and the like stand for what the URL names. */
  path: string;
  methods?: readonly Method[];
  resources?: readonly Resource[];
}

const DICOM_JSON = 'application/dicom+json';
const RELATED_DICOM = 'multipart/related; type="application/dicom"';
const RELATED_OCTETS = 'multipart/related; type="application/octet-stream"';
const PICTURES = ['image/jpeg', 'image/png'];
const FAILURES = [400, 401, 403, 406];

const SEARCH = ['limit', 'offset', 'fuzzymatching', 'includefield'];

const search = (id: string): Method => ({ id, name: 'GET', answers: [DICOM_JSON], query: SEARCH, statuses: FAILURES });
const store = (id: string): Method => ({ id, name: 'POST', takes: [RELATED_DICOM, 'multipart/related; type="application/dicom+json"'], answers: [DICOM_JSON], statuses: [202, 400, 401, 403, 409, 413, 415, 507] });
const retrieve = (id: string, answers: readonly string[]): Method => ({ id, name: 'GET', answers, statuses: [...FAILURES, 404, 410] });

/** What every level below the studies has beside itself. */
const representations = (what: string): Resource[] => [
  { path: 'metadata', methods: [retrieve(`Retrieve${what}Metadata`, [DICOM_JSON])] },
  { path: 'rendered', methods: [{ ...retrieve(`RetrieveRendered${what}`, PICTURES), query: ['window', 'viewport', 'quality'] }] },
  { path: 'thumbnail', methods: [{ ...retrieve(`Retrieve${what}Thumbnail`, PICTURES), query: ['viewport'] }] },
];

const FRAMES: Resource = {
  path: 'frames/{FrameList}',
  methods: [retrieve('RetrieveFrames', [RELATED_OCTETS])],
  resources: representations('Frames').filter(({ path }) => path !== 'metadata'),
};

/** What is served under `/dicom-web`. @see PS3.18 table H-1 */
export const CAPABILITIES: readonly Resource[] = [
  {
    path: 'studies',
    methods: [search('SearchForStudies'), store('StoreInstances')],
    resources: [{
      path: '{StudyInstanceUID}',
      methods: [retrieve('RetrieveStudy', [RELATED_DICOM]), store('StoreStudyInstances')],
      resources: [
        ...representations('Study'),
        {
          path: 'series',
          methods: [search('SearchForStudySeries')],
          resources: [{
            path: '{SeriesInstanceUID}',
            methods: [retrieve('RetrieveSeries', [RELATED_DICOM])],
            resources: [
              ...representations('Series'),
              {
                path: 'instances',
                methods: [search('SearchForStudySeriesInstances')],
                resources: [{
                  path: '{SOPInstanceUID}',
                  methods: [retrieve('RetrieveInstance', [RELATED_DICOM])],
                  resources: [
                    ...representations('Instance'),
                    { path: 'bulkdata/{BulkDataPath}', methods: [retrieve('RetrieveInstanceBulkdata', [RELATED_OCTETS])] },
                    FRAMES,
                  ],
                }],
              },
            ],
          }],
        },
        { path: 'instances', methods: [search('SearchForStudyInstances')] },
      ],
    }],
  },
  { path: 'series', methods: [search('SearchForSeries')] },
  { path: 'instances', methods: [search('SearchForInstances')] },
];

/**
 * The Capabilities Description.
 *
 * @param base  URL of the service, `https://host/dicom-web`
 * @see PS3.18 Annex H, https://www.w3.org/submissions/wadl/
 */
export function capabilitiesWadl(base: string): string {
  const resources = CAPABILITIES.map((resource) => resourceXml(resource, '    ')).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<application xmlns="http://wadl.dev.java.net/2009/02" xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n  <resources base="${escaped(base)}/">\n${resources}  </resources>\n</application>\n`;
}

/** The same for those who ask for JSON. */
export function capabilitiesJson(base: string): { application: { resources: { base: string; resource: readonly Resource[] } } } {
  return { application: { resources: { base: `${base}/`, resource: CAPABILITIES } } };
}

function resourceXml({ path, methods = [], resources = [] }: Resource, indent: string): string {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => `${indent}  <param name="${name}" style="template" type="xsd:string" required="true"/>\n`);
  return `${indent}<resource path="${escaped(path)}">\n${parameters.join('')}${methods.map((method) => methodXml(method, `${indent}  `)).join('')}${resources.map((one) => resourceXml(one, `${indent}  `)).join('')}${indent}</resource>\n`;
}

function methodXml({ id, name, answers, takes = [], query = [], statuses }: Method, indent: string): string {
  const [usual = ''] = answers;
  const request = [
    `<param name="Accept" style="header" type="xsd:string" default="${escaped(usual)}">`, ...answers.map((type) => `  <option value="${escaped(type)}"/>`), '</param>',
    ...query.map((parameter) => `<param name="${parameter}" style="query" type="${parameter === 'limit' || parameter === 'offset' ? 'xsd:nonNegativeInteger' : parameter === 'fuzzymatching' ? 'xsd:boolean' : 'xsd:string'}"/>`),
    ...takes.map(representationXml),
  ];
  const lines = [
    `<method name="${name}" id="${id}">`, '  <request>', ...request.map((line) => `    ${line}`), '  </request>',
    '  <response status="200">', ...answers.map((type) => `    ${representationXml(type)}`), '  </response>',
    ...statuses.map((status) => (status < 300 || status === 409 ? `  <response status="${status}">${answers.map(representationXml).join('')}</response>` : `  <response status="${status}">${representationXml('application/problem+json')}</response>`)),
    '</method>',
  ];
  return lines.map((line) => `${indent}${line}\n`).join('');
}

function representationXml(type: string): string {
  return `<representation mediaType="${escaped(type)}"/>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
