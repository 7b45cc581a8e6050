import { Body, Controller, Post, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Authenticated, CurrentPrincipal, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { chosenPassword } from '../fields.js';
import { requirePerson } from '../person.js';
import { PasswordChangeService } from './password-change.service.js';

const passwordChange = z
  .strictObject({ currentPassword: z.string().min(1).max(1_024).meta({ example: 'what it has been' }), newPassword: chosenPassword })
  .meta({ id: 'PasswordChange', example: { currentPassword: 'what it has been', newPassword: 'orbit pickle trumpet lagoon' } });

@ApiTags('users')
@Controller('api/v1/users/me/password')
export class PasswordController {
  constructor(private readonly service: PasswordChangeService) {}

  @Post()
  @Authenticated()
  @Operation({
    id: 'changePassword',
    summary: 'Change one’s own password',
    description: 'All other sign-ins of the person end, and they are told by e-mail. A wrong current password counts as a failed sign-in.',
    answers: { 204: { description: 'Changed' } },
    problems: ['invalid-body', 'user-not-found', 'conflict', 'password-incorrect', 'weak-password', 'too-many-requests'],
  })
  async change(@CurrentPrincipal() principal: Principal, @Body({ schema: passwordChange }) body: z.infer<typeof passwordChange>, @Req() request: FastifyRequest): Promise<void> {
    await this.service.change(requirePerson(principal), body.currentPassword, body.newPassword, languageOf(request.headers['accept-language']));
  }
}
