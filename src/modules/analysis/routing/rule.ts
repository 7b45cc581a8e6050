import { z } from 'zod';
import { ANALYSIS_NAMES } from '../../../imaging/model/manifest.js';

export const PRIORITIES = ['stat', 'routine', 'research'] as const;
export type Priority = (typeof PRIORITIES)[number];

const pattern = z.string().trim().min(1).max(100).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').refine((text) => text.split('*').length <= 9, 'has more than 8 stars');
const patterns = z.array(pattern).min(1).max(50);

/** Every condition that stands must be met, by one and the same series; a list is met by any of its patterns. */
export const conditionsSchema = z
  .strictObject({
    modalities: patterns.optional().meta({ description: 'Modality (0008,0060)', example: ['CT'] }),
    bodyParts: patterns.optional().meta({ description: 'Body Part Examined (0018,0015)', example: ['CHEST', '*THORAX*'] }),
    studyDescriptions: patterns.optional().meta({ description: 'Study Description (0008,1030)', example: ['*low dose*'] }),
    seriesDescriptions: patterns.optional().meta({ description: 'Series Description (0008,103E)', example: ['*lung*'] }),
    stationNames: patterns.optional().meta({ description: 'Station Name (0008,1010)', example: ['CT_ER_?'] }),
    aeTitles: patterns.optional().meta({ description: 'Performed Station AE Title (0040,0241)', example: ['CT_ROOM_1'] }),
    institutionNames: patterns.optional().meta({ description: 'Institution Name (0008,0080)', example: ['*clinic*'] }),
  })
  .meta({ id: 'RoutingConditions', description: 'Lists of patterns, each for a whole value: `*` any run of characters, `?` one, case does not count. All that are given must be met by one series. None: every study.' });
export type Conditions = z.output<typeof conditionsSchema>;
export type ConditionName = keyof Conditions;

export const planSchema = z
  .array(z.strictObject({
    analysis: z.enum(ANALYSIS_NAMES),
    model: z.string().regex(/^[a-z0-9][a-z0-9-]*(@[0-9A-Za-z.+-]+)?$/, 'must be name or name@version').max(100).optional().meta({ description: 'Default: the active model that fits the study' }),
    priority: z.enum(PRIORITIES).default('routine'),
  }))
  .max(20)
  .refine((plan) => new Set(plan.map(({ analysis }) => analysis)).size === plan.length, 'names an analysis twice')
  .meta({ description: 'What is to be done; empty = nothing' });
export type Plan = z.output<typeof planSchema>;

/** A rule as the evaluation sees it. */
export interface Rule {
  id: string;
  name: string;
  enabled: boolean;
  conditions: Conditions;
  plan: Plan;
  /** Rules after it are not looked at when it matches. */
  last: boolean;
}
