import { Module } from '@nestjs/common';
import { StoredPeople } from './people.store.js';
import { People } from './users.contract.js';

/** Who is there to be told of things: what other modules' workers need. */
@Module({ providers: [{ provide: People, useClass: StoredPeople }], exports: [People] })
export class PeopleModule {}
