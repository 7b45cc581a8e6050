import { Module } from '@nestjs/common';
import { ModelStates } from './model-states.service.js';
import { ModelStatesStore } from './model-states.store.js';

/** Which model serves; needs nothing but the database, so that the command line can say so without the product. */
@Module({ providers: [ModelStatesStore, ModelStates], exports: [ModelStatesStore, ModelStates] })
export class ModelStatesModule {}
