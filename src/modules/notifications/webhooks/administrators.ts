import type { People, Person } from '../../users/users.contract.js';

const ROLES = ['admin', 'platform-admin'];
const MOST = 50;

/** Whom the product tells what concerns an institution as a whole: those who can sign in, at most fifty. */
export async function administratorsOf(people: People, institutionId: string): Promise<Person[]> {
  return (await people.withRoles(institutionId, ROLES)).filter(({ isActive }) => isActive).slice(0, MOST);
}
