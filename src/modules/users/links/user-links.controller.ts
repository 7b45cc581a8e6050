import { Body, Controller, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { Public } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { SignInLimits } from '../../../platform/limits/sign-in-limits.js';
import { chosenPassword } from '../fields.js';
import { UserLinksService } from './user-links.service.js';
import type { LinkPurpose, UsableLink } from './user-links.store.js';

const resetRequest = z.strictObject({ email: z.string().min(1).max(254).meta({ example: 'grace@hospital.example' }) }).meta({ id: 'PasswordResetRequest' });
const newPassword = z.strictObject({ password: chosenPassword }).meta({ id: 'ChosenPassword', example: { password: 'orbit pickle trumpet lagoon' } });
/** Whatever is no secret of a link is no link. */
const token = z.string();

/** For people who cannot sign in yet, or not any more. */
@ApiTags('sign-in')
@Public()
@Controller('api/v1')
export class UserLinksController {
  constructor(
    private readonly links: UserLinksService,
    private readonly limits: SignInLimits,
  ) {}

  @Post('invitations/:token/accept')
  @Operation({
    id: 'acceptInvitation',
    summary: 'Choose a password after an invitation',
    description: 'The token is that of the link in the e-mail: good for 7 days and one use.',
    answers: { 204: { description: 'Chosen: sign in with it' } },
    problems: ['invalid-body', 'invitation-not-found', 'weak-password'],
    public: true,
  })
  async accept(@Param('token', { schema: token }) secret: string, @Body({ schema: newPassword }) body: z.infer<typeof newPassword>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    await this.redeem('invitation', secret, body.password, request, reply);
  }

  @Post('password-resets')
  @Operation({
    id: 'requestPasswordReset',
    summary: 'Ask for a new password',
    description: 'Mails a link to the person, if there is one with this address. The answer is the same in any case.',
    answers: { 202: { description: 'Taken' } },
    problems: ['invalid-body'],
    public: true,
  })
  async request(@Body({ schema: resetRequest }) { email }: z.infer<typeof resetRequest>, @Req() request: FastifyRequest): Promise<void> {
    await this.links.requestReset(email, languageOf(request.headers['accept-language']));
  }

  @Post('password-resets/:token')
  @Operation({
    id: 'resetPassword',
    summary: 'Choose a new password',
    description: 'The token is that of the link in the e-mail: good for an hour and one use. Unlocks the account and ends all sign-ins of the person. A second factor stays.',
    answers: { 204: { description: 'Chosen: sign in with it' } },
    problems: ['invalid-body', 'invitation-not-found', 'weak-password'],
    public: true,
  })
  async reset(@Param('token', { schema: token }) secret: string, @Body({ schema: newPassword }) body: z.infer<typeof newPassword>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    await this.redeem('password-reset', secret, body.password, request, reply);
  }

  private async redeem(purpose: LinkPurpose, secret: string, password: string, request: FastifyRequest, reply: FastifyReply): Promise<UsableLink> {
    const link = await this.limits.attempt(request, reply, { kind: 'person' }, () => this.links.redeem(purpose, secret, password, languageOf(request.headers['accept-language'])));
    noteForAudit(request, { actor: { kind: 'user', id: link.userId, role: link.role, institutionId: link.institutionId } });
    return link;
  }
}
