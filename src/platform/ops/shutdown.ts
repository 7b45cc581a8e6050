import { Injectable, type OnModuleDestroy } from '@nestjs/common';

/** Whether the process was told to stop. From then on `/ready` says no, so that nobody sends it more, while it serves what comes. */
@Injectable()
export class Shutdown implements OnModuleDestroy {
  private begun = false;

  get isUnderWay(): boolean {
    return this.begun;
  }

  begin(): void {
    this.begun = true;
  }

  onModuleDestroy(): void {
    this.begin();
  }
}
