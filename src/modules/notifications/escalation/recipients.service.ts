import { Injectable } from '@nestjs/common';
import { People, type Person } from '../../users/users.contract.js';
import { mayBeTold } from '../mail/announcements.service.js';
import type { ChainStep, Told } from './chain.js';

/** Finds out who a step of the chain is for when it is taken: roles and states change. */
@Injectable()
export class Recipients {
  constructor(private readonly people: People) {}

  /** Each person once; those who cannot be told with the reason. */
  async of(institutionId: string, { recipients, channels }: ChainStep, topic: string): Promise<Told[]> {
    const [ids, roles] = [recipients.flatMap((one) => ('userId' in one ? [one.userId.toLowerCase()] : [])), recipients.flatMap((one) => ('role' in one ? [one.role] : []))];
    const [named, ofRoles] = await Promise.all([this.people.withIds(institutionId, ids), this.people.withRoles(institutionId, roles)]);
    const known = new Set(named.map(({ id }) => id));
    // Of a role those count who can sign in: who left it is nobody's loss.
    const inRole = ofRoles.filter(({ isActive }) => isActive);
    const people = new Map([...named, ...inRole].map((person) => [person.id, person]));
    return [
      ...[...people.values()].map((person): Told => toldOf(person, topic, channels)),
      ...[...new Set(ids)].filter((userId) => !known.has(userId)).map((userId): Told => ({ userId, skipped: 'unknown' })),
      ...roles.filter((role) => !inRole.some((person) => person.role === role)).map((role): Told => ({ role, skipped: 'nobody' })),
    ];
  }
}

function toldOf(person: Person, topic: string, channels: ChainStep['channels']): Told {
  if (!person.isActive) return { userId: person.id, skipped: 'not-active' };
  return mayBeTold(person, topic) ? { userId: person.id, channels } : { userId: person.id, skipped: 'not-permitted' };
}
