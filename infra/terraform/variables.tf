variable "bucket" {
  type        = string
  description = "Name of the bucket that holds root and landing zone."
}

variable "root_prefix" {
  type        = string
  description = "Prefix of the root: CTR_RETRAIN_ROOT is s3://BUCKET/ROOT_PREFIX."
  default     = "root"
}

variable "landing_prefix" {
  type        = string
  description = "Prefix of the landing zone."
  default     = "events"
}

variable "replaced_days" {
  type        = number
  description = "Days for which a version that was replaced or removed can be brought back."
  default     = 30
}

variable "oidc_provider_arn" {
  type        = string
  description = "The cluster's OIDC provider, by which its service account takes the role."
}

variable "oidc_issuer" {
  type        = string
  description = "Its issuer without https://."
}

variable "namespace" {
  type        = string
  description = "Namespace of the workers."
  default     = "default"
}

variable "cluster_arn" {
  type        = string
  description = "ECS cluster of the scheduled task."
  default     = ""
}

variable "task_definition_arn" {
  type        = string
  description = "ECS task definition that runs `ctr-retrain daily`; empty: Prefect has the schedule."
  default     = ""
}

variable "task_role_arns" {
  type        = list(string)
  description = "Roles that the scheduled task takes, and that the scheduler may hand it."
  default     = []
}

variable "subnets" {
  type        = list(string)
  description = "Subnets of the scheduled task."
  default     = []
}

output "worker_role_arn" {
  description = "For the annotation of the service account in infra/kubernetes/worker-settings.yaml."
  value       = aws_iam_role.worker.arn
}
