# A night without Prefect: EventBridge starts a task on ECS that runs `daily` for the day before. Off unless a task is named.
resource "aws_scheduler_schedule" "nightly" {
  count                        = var.task_definition_arn == "" ? 0 : 1
  name                         = "ctr-retrain-nightly"
  schedule_expression          = "cron(0 4 * * ? *)"
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.scheduler[0].arn

    ecs_parameters {
      task_definition_arn = var.task_definition_arn
      launch_type         = "FARGATE"
      network_configuration {
        subnets = var.subnets
      }
    }

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions   = ["ecs:RunTask"]
    resources = [var.task_definition_arn]
  }

  statement {
    actions   = ["iam:PassRole"]
    resources = var.task_role_arns
  }
}

data "aws_iam_policy_document" "scheduler_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  count              = var.task_definition_arn == "" ? 0 : 1
  name               = "ctr-retrain-scheduler"
  assume_role_policy = data.aws_iam_policy_document.scheduler_assume.json
}

resource "aws_iam_role_policy" "scheduler" {
  count  = var.task_definition_arn == "" ? 0 : 1
  name   = "run-task"
  role   = aws_iam_role.scheduler[0].id
  policy = data.aws_iam_policy_document.scheduler.json
}
