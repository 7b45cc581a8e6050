import { Controller, Get, Module, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../platform/http/access.js';
import { AccountPageController } from './pages/account-page.controller.js';
import { AssetsController } from './pages/assets.controller.js';
import { SignInPagesController } from './pages/sign-in-pages.controller.js';
import { UsersModule } from '../modules/users/users.module.js';

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

@Module({ imports: [UsersModule], controllers: [RootController, SignInPagesController, AccountPageController, AssetsController] })
export class WebModule {}
