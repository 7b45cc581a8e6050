import { Module } from '@nestjs/common';
import { NotificationsModule } from '../modules/notifications/notifications.module.js';
import { UsersModule } from '../modules/users/users.module.js';
import { AccountPageController } from './pages/account-page.controller.js';
import { AssetsController } from './pages/assets.controller.js';
import { NotificationPageController } from './pages/notification-page.controller.js';
import { ReviewPageController } from './pages/review-page.controller.js';
import { SignInPagesController } from './pages/sign-in-pages.controller.js';
import { WorklistPageController } from './pages/worklist-page.controller.js';
import { QueueBoardController } from './queue-board/queue-board.controller.js';
import { ViewerFiles } from './viewer/viewer-files.service.js';
import { ViewerController } from './viewer/viewer.controller.js';

@Module({
  imports: [UsersModule, NotificationsModule],
  controllers: [WorklistPageController, SignInPagesController, AccountPageController, AssetsController, NotificationPageController, ReviewPageController, QueueBoardController, ViewerController],
  providers: [ViewerFiles],
})
export class WebModule {}
