import type { Language } from '../../kernel/errors.js';
import { ownEntry } from '../../kernel/own-entry.js';

/** Chinese names; the key is `keyOf` of the English one. */
const CHINESE: Readonly<Record<string, string>> = {
  'no finding': '未见异常',
  'normal': '未见异常',
  'atelectasis': '肺不张',
  'cardiomegaly': '心影增大',
  'consolidation': '肺实变',
  'edema': '肺水肿',
  'pulmonary edema': '肺水肿',
  'effusion': '胸腔积液',
  'pleural effusion': '胸腔积液',
  'emphysema': '肺气肿',
  'enlarged cardiomediastinum': '纵隔增宽',
  'fibrosis': '肺纤维化',
  'fracture': '骨折',
  'hernia': '膈疝',
  'infiltration': '肺浸润',
  'lung lesion': '肺部病变',
  'lung opacity': '肺部阴影',
  'mass': '肿块',
  'nodule': '结节',
  'pleural thickening': '胸膜增厚',
  'pneumonia': '肺炎',
  'pneumothorax': '气胸',
  'tuberculosis': '肺结核',
  'tumour': '肿瘤',
  'whole tumour': '全肿瘤',
  'tumour core': '肿瘤核心',
  'enhancing tumour': '强化肿瘤',
  'oedema': '水肿',
  'peritumoural oedema': '瘤周水肿',
  'necrosis': '坏死',
  'diameter': '直径',
  'volume': '体积',
  'perpendicular diameter': '垂直径',
  'core volume': '肿瘤核心体积',
  'enhancing volume': '强化体积',
  'enhancing diameter': '强化直径',
  'enhancing perpendicular diameter': '强化垂直径',
  'midline shift': '中线移位',
  'long axis': '长径',
  'short axis': '短径',
  'mean attenuation': '平均密度',
  'attenuation': '密度',
  'solid': '实性',
  'part solid': '部分实性',
  'ground glass': '磨玻璃',
  'side': '侧',
  'right': '右',
  'left': '左',
  'zone': '肺野',
  'upper': '上',
  'middle': '中',
  'lower': '下',
};

/** Labels that say that nothing was found: in lower case, with single spaces. */
export const NEGATIVE_LABELS: readonly string[] = ['no finding', 'normal'];

/** Manifests spell names in many ways: `Pleural_Thickening`, `pleural-thickening`, `Pleural Thickening`. */
function keyOf(name: string): string {
  return name.trim().toLowerCase().replaceAll(/[\s_-]+/g, ' ').replaceAll('tumor', 'tumour');
}

/** A label, segment or measurement in the reader's language; the English name, spelled out, where there is no Chinese one. */
export function displayNameOf(name: string, language: Language): string {
  const chinese = language === 'zh-CN' ? ownEntry(CHINESE, keyOf(name)) : undefined;
  if (chinese !== undefined) return chinese;
  const spelled = name.trim().replaceAll(/[\s_]+/g, ' ');
  return spelled.charAt(0).toUpperCase() + (/^[A-Z][a-z]*( [A-Z][a-z]*)+$/.test(spelled) ? spelled.slice(1).toLowerCase() : spelled.slice(1));
}

/** True for "No Finding" and its like: a label that is no evidence of anything. */
export function isNegativeLabel(name: string): boolean {
  return NEGATIVE_LABELS.includes(keyOf(name));
}
