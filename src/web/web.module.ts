import { Controller, Get, Module, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../platform/http/access.js';

/** People who open the bare address get to the page that exists. */
@ApiExcludeController()
@Controller()
class RootController {
  @Public()
  @Get()
  root(@Res() reply: FastifyReply): void {
    void reply.redirect('/docs', 302);
  }
}

@Module({ controllers: [RootController] })
export class WebModule {}
