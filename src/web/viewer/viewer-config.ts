import type { Language } from '../../kernel/errors.js';
import { reportMarks } from './report-marks.js';

/** How OHIF is set up: our DICOMweb beside it, the browser's cookie, nothing stored from within it. @see https://docs.ohif.org/configuration/configurationFiles */
const SETTINGS = {
  routerBasename: '/viewer', extensions: [], modes: [], showStudyList: true,
  // Of browsers on stations with few cores.
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: true, showLoadingIndicator: true, strictZSpacingForVolumeViewport: true, groupEnabledModesFirst: true,
  // An error in words, without a stack for readers of images.
  showErrorDetails: 'dev',
  // Every result says it by itself: "Not for primary diagnosis".
  investigationalUseDialog: { option: 'never' },
  // A SEG or SR that is opened is meant to be seen.
  disableConfirmationPrompts: true,
  maxNumRequests: { interaction: 100, thumbnail: 25, prefetch: 10 },
  defaultDataSourceName: 'dicomweb',
  customizationService: [
    // Marks are corrected in the review, which keeps record of it; the viewer shows.
    { 'panelSegmentation.disableEditing': { $set: true } },
  ],
} as const;

const SOURCE = {
  friendlyName: 'HealthVision', name: 'healthvision', qidoSupportsIncludeField: true, supportsFuzzyMatching: true, supportsWildcard: true, supportsStow: false, dicomUploadEnabled: false, supportsReject: false,
  imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true, bulkDataURI: { enabled: true }, omitQuotationForMultipartRequest: true,
} as const;

/** OHIF's languages by ours. */
const LANGUAGES: Readonly<Record<Language, string>> = { 'en': 'en-US', 'zh-CN': 'zh' };

/**
 * The script that OHIF reads its settings from. Addresses are made in the browser, so that they are right behind any proxy.
 *
 * @param language  what OHIF begins with where the reader has not chosen another one in it
 */
export function viewerConfig(language: Language): string {
  return `const dicomWeb = window.location.origin + '/dicom-web';
if (localStorage.getItem('i18nextLng') === null) localStorage.setItem('i18nextLng', ${JSON.stringify(LANGUAGES[language])});
// The guided tour lies over the images until it was seen.
if (localStorage.getItem('shownTours') === null) localStorage.setItem('shownTours', '["basicViewerTour"]');
const settings = ${JSON.stringify(SETTINGS)};
window.config = {
  ...settings,
  customizationService: [...settings.customizationService, { onBeforeSRAddMeasurement: { $set: (${reportMarks.toString()})() } }],
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: { ...${JSON.stringify(SOURCE)}, qidoRoot: dicomWeb, wadoRoot: dicomWeb, wadoUriRoot: dicomWeb },
  }],
  whiteLabeling: {
    createLogoComponentFn: (React) => React.createElement('a', { href: '/', style: { display: 'flex', alignItems: 'center', gap: '8px', color: '#fff', fontWeight: 600 } }, React.createElement('img', { src: '/assets/icon.svg', alt: '', width: 28, height: 28 }), 'HealthVision'),
  },
  // Whoever was signed out meanwhile is led to the sign-in, and back.
  httpErrorHandler: (error) => { if (error.status === 401) window.location.assign('/login?next=' + encodeURIComponent(window.location.pathname + window.location.search)); },
};
`;
}
